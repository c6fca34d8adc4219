"""Events out through their handler, over moto: to a receiver on loopback, and to a bus."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final

import pytest
from billing.notices.delivery import Failed
from billing.notices.event_bus import EventBus
from billing.notices.rows import Row
from billing.storage.values import decode
from billing.storage.writes import KEY_NAMES
from billing.telemetry import metrics
from billing.wiring import notices as wiring
from functional.lab import Context, Lab, client, forget
from support.builders import completed, pending

BUS: Final = "events-out"
SCHEDULE: Final[dict[str, Any]] = {}


class Receiver(HTTPServer):
    """Remembers what it got, and answers with a status."""

    def __init__(self) -> None:
        """On a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 204
        self.got: list[tuple[dict[str, str], dict[str, Any]]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append((headers, json.loads(body)))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """It answers 204."""
    with Receiver() as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


def _switch_on(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("POWERTOOLS_METRICS_DISABLED", raising=False)
    metrics.clear_metrics()
    forget()
    wiring.books.cache_clear()
    wiring.ways.cache_clear()


@pytest.fixture
def told(lab: Lab, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The template's NotifyUrl is the receiver."""
    lab.put_secret(
        "NotifySecretsSecret", json.dumps({"generated": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"})
    )
    _switch_on(
        monkeypatch,
        NOTIFY_URL=f"http://127.0.0.1:{receiver.server_port}/_events",
        NOTIFY_SECRETS_SECRET="NotifySecretsSecret",
    )
    yield lab
    wiring.books.cache_clear()
    wiring.ways.cache_clear()


def _buy(lab: Lab) -> dict[str, Any]:
    """A purchase, and what the table's stream shows of it."""
    assert lab.deliver(completed(pending(lab.books))).status == 200
    (row,) = lab.rows("NoticesTable")
    return {"eventName": "INSERT", "dynamodb": {"NewImage": row}}


def _counted(capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    return Counter(
        metric["Name"]
        for line in lines
        for found in line["_aws"]["CloudWatchMetrics"]
        for metric in found["Metrics"]
    )


def _said(caplog: pytest.LogCaptureFixture, message: str) -> list[dict[str, Any]]:
    found = [record for record in caplog.records if record.getMessage() == message]
    return [{"level": record.levelname, **vars(record)} for record in found]


def _due_now(lab: Lab) -> None:
    (row,) = lab.rows("NoticesTable")
    lab.boto("dynamodb").update_item(
        TableName="NoticesTable",
        Key={name: row[name] for name in KEY_NAMES["notices"]},
        UpdateExpression="SET due_at = :now",
        ExpressionAttributeValues={":now": {"N": "1"}},
    )


def test_what_the_stream_shows_is_delivered_signed_at_once(
    told: Lab,
    receiver: Receiver,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And counted, and said in one line with nothing of the customer."""
    record = _buy(told)
    capsys.readouterr()
    caplog.set_level("INFO")
    assert told.ask("notify", {"Records": [record]}) == {"delivered": 1}
    ((headers, body),) = receiver.got
    assert (body["type"], body["sequence"], body["user_id"]) == ("payment.completed", 1, "alice")
    assert headers["webhook-id"] == body["id"]
    assert headers["webhook-signature"].startswith("v1,")
    assert (headers["content-type"], headers["user-agent"]) == (
        "application/json",
        "Topup-Events/1",
    )
    assert _counted(capsys) == {"events_delivered": 1}
    (line,) = _said(caplog, "event")
    names = ("level", "event_id", "type", "outcome", "tries")
    assert [line[name] for name in names] == [
        "INFO",
        body["id"],
        "payment.completed",
        "delivered",
        1,
    ]


def test_only_what_is_new_in_the_stream_is_delivered(told: Lab, receiver: Receiver) -> None:
    """A row that changes or goes is not told again."""
    record = _buy(told)
    others = [record | {"eventName": name} for name in ("MODIFY", "REMOVE")]
    assert told.ask("notify", {"Records": others}) == {}
    assert receiver.got == []


def test_what_was_not_taken_is_counted_as_such_and_comes_with_the_schedule(
    told: Lab,
    receiver: Receiver,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver.status = 500
    record = _buy(told)
    capsys.readouterr()
    caplog.set_level("INFO")
    assert told.ask("notify", {"Records": [record]}) == {"retried": 1}
    assert _counted(capsys) == {"events_retried": 1}
    assert told.ask("notify", SCHEDULE) == {}, "it is not due yet"
    receiver.status = 410
    _due_now(told)
    assert told.ask("notify", SCHEDULE) == {"dead": 1}
    assert _counted(capsys) == {"events_dead": 1}
    lines = _said(caplog, "event")
    assert [(line["level"], line["outcome"], line["tries"]) for line in lines] == [
        ("INFO", "retried", 1),
        ("ERROR", "dead", 2),
    ]


def test_an_event_that_another_run_delivers_is_not_counted(
    told: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stream may show a row twice."""
    record = _buy(told)
    told.ask("notify", {"Records": [record]})
    capsys.readouterr()
    assert told.ask("notify", {"Records": [record]}) == {"skipped": 1}
    assert _counted(capsys) == {}


@pytest.mark.parametrize(("left_ms", "found"), [(30_000, {}), (30_001, {"delivered": 1})])
def test_no_batch_begins_with_half_a_minute_left(
    told: Lab, monkeypatch: pytest.MonkeyPatch, left_ms: int, found: dict[str, int]
) -> None:
    """What is due stays due."""
    _buy(told)
    _due_now(told)
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", staticmethod(lambda: left_ms))
    assert told.ask("notify", SCHEDULE) == found


def test_where_nobody_is_told_the_schedule_does_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither NotifyUrl nor NotifyBus."""
    _switch_on(monkeypatch)
    assert lab.ask("notify", SCHEDULE) == {}


def test_a_bus_gets_the_event_as_it_is(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its type as the detail's, from ``topup``, to the bus of that name."""
    client("events").create_event_bus(Name=BUS)
    _switch_on(monkeypatch, NOTIFY_BUS=BUS)
    record = _buy(lab)
    bus, sent = EventBus(BUS), list[Any]()
    bus.client.meta.events.register(
        "before-parameter-build.events.PutEvents",
        lambda params, **_: sent.extend(params["Entries"]),
    )
    monkeypatch.setitem(wiring.ways(), "bus", bus)
    assert lab.ask("notify", {"Records": [record]}) == {"delivered": 1}
    (entry,) = sent
    assert json.loads(entry.pop("Detail")) == _row(record).body()
    assert entry == {"Source": "topup", "DetailType": "payment.completed", "EventBusName": BUS}
    wiring.ways.cache_clear()


def _row(record: dict[str, Any]) -> Row:
    return Row.from_item(decode(record["dynamodb"]["NewImage"]))


@pytest.mark.parametrize("way", ["an entry", "a call"])
def test_a_bus_that_refuses_is_a_failed_try(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """An answer of 200 may refuse the entry; the reason is the bus's own."""
    _switch_on(monkeypatch, NOTIFY_BUS=BUS)
    row = _row(_buy(lab))
    bus = EventBus(BUS if way == "an entry" else "x" * 2000)
    if way == "an entry":
        refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}
        monkeypatch.setattr(bus.client, "put_events", lambda **_: refused)
        assert bus(row) == Failed("ThrottlingException")
    else:
        answer = bus(row)
        assert isinstance(answer, Failed)
        assert answer.why
