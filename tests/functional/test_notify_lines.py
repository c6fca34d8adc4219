"""What NotifyFunction writes to its log and its metrics, try by try."""

from collections.abc import Iterator
from typing import Any

import pytest
from billing.notices.delivery import Answer, Failed, Gone, Sent
from billing.notices.rows import Row, new_row
from billing.telemetry import logger, metrics
from billing.wiring import notices as wiring
from functional.lab import Context, Lab
from support.lines import USUAL, counted


@pytest.fixture
def told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """There is one way out, which each test makes for itself."""
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    metrics.clear_metrics()
    wiring.books.cache_clear()
    wiring.ways.cache_clear()
    yield lab
    wiring.books.cache_clear()
    wiring.ways.cache_clear()


def _answers(answer: Answer) -> None:
    wiring.ways()["url"] = lambda _: answer


def _written(lab: Lab) -> tuple[Row, dict[str, Any]]:
    """One event, and what the stream of the table shows of it."""
    write = new_row("alice", 1, "payment.completed", {"quota": 100}, lab.books.clock())
    lab.books.store.commit(write)
    (image,) = lab.rows("NoticesTable")
    (item,) = lab.books.store.pages("notices", "alice")
    record = {"eventName": "INSERT", "dynamodb": {"NewImage": image}}
    return Row.from_item(item), {"Records": [record]}


def _lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, dict[str, Any]]]:
    found = [
        (
            record.levelname,
            record.getMessage(),
            {name: value for name, value in vars(record).items() if name not in USUAL},
        )
        for record in caplog.records
        if record.getMessage().startswith("event")
    ]
    caplog.clear()
    return found


@pytest.mark.parametrize(
    ("answer", "outcome", "level", "metric"),
    [
        (Sent(), "delivered", "INFO", "events_delivered"),
        (Failed("HTTP 500"), "retried", "INFO", "events_retried"),
        (Gone(), "dead", "ERROR", "events_dead"),
    ],
)
def test_each_try_is_one_whole_line_and_one_figure(  # noqa: PLR0917 - a table of outcomes
    told: Lab,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    answer: Answer,
    outcome: str,
    level: str,
    metric: str,
) -> None:
    """With nothing of the customer in it. A dead event's line is an error."""
    _answers(answer)
    row, records = _written(told)
    capsys.readouterr()
    caplog.set_level("INFO")
    assert told.ask("notify", records) == {outcome: 1}
    about = {"event_id": row.id, "type": "payment.completed", "outcome": outcome, "tries": 1}
    assert _lines(caplog) == [(level, "event", about)]
    assert counted(capsys) == {metric: [1.0]}


def test_an_event_that_could_not_be_tried_is_a_warning_and_no_figure(
    told: Lab, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its row is not there to be claimed."""
    _answers(Sent())
    row, records = _written(told)
    told.boto("dynamodb").delete_table(TableName="NoticesTable")
    capsys.readouterr()
    caplog.set_level("INFO")
    assert told.ask("notify", records) == {"not_tried": 1}
    ((level, message, members),) = _lines(caplog)
    assert (level, message, members["event_id"]) == ("WARNING", "event not tried", row.id)
    assert "ResourceNotFoundException" in members["why"]
    assert set(members) == {"event_id", "why"}
    assert counted(capsys) == {}


def test_every_line_has_the_id_of_its_own_run(told: Lab) -> None:
    """Lambda's, by which the lines of one run are found."""
    logger.append_keys(request_id="of the run before")
    assert told.ask("notify", {"Records": []}) == {}
    assert logger.get_current_keys()["request_id"] == Context.aws_request_id


def test_a_run_has_its_own_time_however_old_its_function_is(told: Lab) -> None:
    """Lambda keeps a process for hours; the time of the run before is long over."""
    _answers(Sent())
    _, records = _written(told)
    wiring.books().store.deadline._deadline = float("-inf")
    assert told.ask("notify", records) == {"delivered": 1}


def test_only_new_rows_among_the_streams_are_delivered(told: Lab) -> None:
    """Whatever stands before and behind them."""
    _answers(Sent())
    row, records = _written(told)
    (new,) = records["Records"]
    others = [new | {"eventName": name} for name in ("MODIFY", "REMOVE")]
    got: list[str] = []

    def way(tried: Row) -> Answer:
        got.append(tried.id)
        return Sent()

    wiring.ways()["url"] = way
    assert told.ask("notify", {"Records": [others[0], new, others[1]]}) == {"delivered": 1}
    assert got == [row.id]
