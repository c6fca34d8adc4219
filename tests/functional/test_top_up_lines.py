"""What an operator reads and counts of automatic top-ups and of events out."""

import json
from collections import Counter
from typing import Any, Final

import pytest
from billing.telemetry import logger, metrics
from billing.top_up import messages
from botocore.exceptions import ClientError
from functional import top_ups
from functional.lab import Context, Lab, forget
from simulator.lab import Lab as Stripe

CREATE: Final = "POST /v1/payment_intents"


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bench in the same process switches figures off."""
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    metrics.clear_metrics()


def _counted(capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    return Counter(
        metric["Name"]
        for line in lines
        for found in line["_aws"]["CloudWatchMetrics"]
        for metric in found["Metrics"]
    )


def _lines(caplog: pytest.LogCaptureFixture, message: str) -> list[dict[str, Any]]:
    return [vars(record) for record in caplog.records if record.getMessage() == message]


def _agreed(lab: Lab, stripe: Stripe) -> None:
    top_ups.save_a_card(lab, stripe)
    top_ups.agree(lab)


def _run(lab: Lab) -> dict[str, int]:
    body = json.dumps({"user_id": top_ups.user()})
    done: dict[str, int] = lab.ask("auto_top_up", {"Records": [{"body": body}]})
    return done


def test_a_run_says_how_many_accounts_it_served(
    offered: Lab,
    stripe_side: Stripe,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In a line with the request's id, and not whose they are."""
    _agreed(offered, stripe_side)
    caplog.set_level("INFO")
    assert _run(offered) == {"done": 1, "failed": 0}
    (line,) = _lines(caplog, "topped up")
    assert (line["done"], line["failed"]) == (1, 0)
    (record,) = [one for one in caplog.records if one.getMessage() == "topped up"]
    shown = json.loads(logger.registered_formatter.format(record))
    assert shown["request_id"] == Context.aws_request_id
    assert top_ups.user() not in json.dumps(shown)


def test_an_outcome_that_is_unknown_is_counted_and_says_why(
    offered: Lab,
    stripe_side: Stripe,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    _agreed(offered, stripe_side)
    stripe_side.control("faults", route=CREATE, status=500, times=1)
    capsys.readouterr()
    assert _run(offered) == {"done": 1, "failed": 0}
    (line,) = _lines(caplog, "a charge's outcome is unknown")
    (payment,) = top_ups.automatic(offered)
    assert (line["payment_id"], line["levelname"]) == (payment["payment_id"], "WARNING")
    assert line["why"].startswith("StripeServerError: ")
    assert _counted(capsys)["outcome_unknown"] == 1


def test_a_refusal_for_good_is_counted_as_such(
    offered: Lab, stripe_side: Stripe, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator must look at it; the customer's card is not blamed."""
    _agreed(offered, stripe_side)
    stripe_side.control("faults", route=CREATE, status=401, times=9)
    capsys.readouterr()
    _run(offered)
    counted = _counted(capsys)
    assert counted["outcome_unknown"] == 0
    assert counted["stripe_refused"] == 1
    assert top_ups.call(offered, "GET", top_ups.ROUTE).json["paused"] is None


def test_an_account_that_stays_due_is_told_with_its_reason_alone(
    offered: Lab,
    stripe_side: Stripe,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As AWS answers when a grant is missing."""
    _agreed(offered, stripe_side)

    def answer(**_: object) -> None:
        refused: Any = {
            "Error": {"Code": "AccessDeniedException"},
            "ResponseMetadata": {"HTTPStatusCode": 400},
        }
        raise ClientError(refused, "TransactWriteItems")

    monkeypatch.setattr(offered.books.store._client, "transact_write_items", answer)
    assert _run(offered) == {"done": 0, "failed": 1}
    (line,) = _lines(caplog, "an automatic top-up stays due")
    assert line["why"].startswith("AwsRefusedError: ")
    assert top_ups.user() not in str(line)


def test_a_message_that_cannot_be_read_is_in_the_log(
    offered: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """With its traceback; the sweep finds the account."""
    assert offered.ask("auto_top_up", {"Records": [{"body": "{}"}]}) == {"done": 0, "failed": 0}
    (line,) = _lines(caplog, "a message that cannot be read is dropped")
    assert line["exc_info"]


@pytest.mark.parametrize("is_there", [True, False])
def test_what_cannot_be_hurried_is_served_by_the_schedule_itself(
    offered: Lab, stripe_side: Stripe, monkeypatch: pytest.MonkeyPatch, *, is_there: bool
) -> None:
    """The queue does not take its message."""
    _agreed(offered, stripe_side)
    if not is_there:
        monkeypatch.setenv("TOP_UP_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/1/none")
        forget()
    served = 0 if is_there else 1
    assert offered.ask("auto_top_up", {"sweep": True}) == {"done": served, "failed": 0}
    assert len(top_ups.automatic(offered)) == served


@pytest.mark.parametrize(("left_ms", "served"), [(5000, 1), (4999, 0)])
def test_no_account_is_hurried_in_the_last_five_seconds(
    offered: Lab, stripe_side: Stripe, monkeypatch: pytest.MonkeyPatch, left_ms: int, served: int
) -> None:
    """The next minute's schedule finds it."""
    _agreed(offered, stripe_side)
    hurried: list[str] = []

    def hurry(_: str, user_id: str) -> bool:
        hurried.append(user_id)
        return True

    monkeypatch.setattr(messages, "hurry", hurry)
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", staticmethod(lambda: left_ms))
    offered.ask("auto_top_up", {"sweep": True})
    assert len(hurried) == served
