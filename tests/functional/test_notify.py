"""NotifyFunction in moto: from a row of the table to the seller's own receiver, and to a bus."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from billing.errors import SettingsError
from billing.notices.rows import new_row
from billing.wiring import container, notices
from functional.lab import Lab
from repo.declared import alarms
from standardwebhooks import Webhook

OLD = "whsec_" + "b2xk" * 8
NEW = "whsec_" + "bmV3" * 8
Start = Callable[..., None]


class Receiver:
    """The seller's: a real server on this machine. It answers 204 and keeps what it got."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.status = 204
        receiver = self
        got: list[tuple[dict[str, str], bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                got.append(({name.lower(): text for name, text in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Silent."""

        self.got = got
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/_events"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that is well."""
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def start(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Begin a container with other settings than the template's defaults."""
    del lab

    def begin(**settings: str) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(name.upper(), value)
        _forget()

    _forget()
    yield begin
    _forget()


def _forget() -> None:
    for cached in (notices.ways, notices.books, container.settings):
        cached.cache_clear()


def _written(lab: Lab) -> dict[str, Any]:
    """One event, as the stream of the table shows it."""
    lab.books.store.commit(
        new_row("alice", 1, "payment.completed", {"quota": 100}, lab.books.clock())
    )
    (image,) = lab.rows("NoticesTable")
    return {"Records": [{"eventName": "INSERT", "dynamodb": {"NewImage": image}}]}


def _row(lab: Lab) -> dict[str, Any]:
    (row,) = lab.rows("NoticesTable")
    return {name: next(iter(value.values())) for name, value in row.items()}


def test_an_event_is_signed_by_every_secret_while_one_is_rolled(
    lab: Lab, start: Start, receiver: Receiver
) -> None:
    lab.put_secret("NotifySecretsSecret", json.dumps({"secrets": [NEW, OLD]}))
    start(notify_url=receiver.url, notify_secrets_secret="NotifySecretsSecret")
    assert lab.ask("notify", _written(lab)) == {"delivered": 1}
    ((headers, body),) = receiver.got
    for secret in (NEW, OLD):
        assert Webhook(secret).verify(body, headers)["user_id"] == "alice"
    assert headers["webhook-id"] == _row(lab)["id"]
    assert _row(lab)["state"] == "delivered"


def test_the_stream_tells_twice_and_the_receiver_hears_once(
    lab: Lab, start: Start, receiver: Receiver
) -> None:
    lab.put_secret("NotifySecretsSecret", json.dumps({"secrets": [NEW]}))
    start(notify_url=receiver.url, notify_secrets_secret="NotifySecretsSecret")
    records = _written(lab)
    assert lab.ask("notify", records) == {"delivered": 1}
    assert lab.ask("notify", records) == {"skipped": 1}
    assert len(receiver.got) == 1


@pytest.mark.parametrize("text", ["{}", "whsec_x", '{"secrets": []}', '{"secrets": ["abc"]}'])
def test_a_secret_that_cannot_sign_keeps_the_event_and_is_not_shown(
    lab: Lab, start: Start, receiver: Receiver, text: str
) -> None:
    """The event waits for the operator, who reads what is wrong."""
    lab.put_secret("NotifySecretsSecret", text)
    start(notify_url=receiver.url, notify_secrets_secret="NotifySecretsSecret")
    assert lab.ask("notify", _written(lab)) == {"retried": 1}
    assert receiver.got == []
    assert (_row(lab)["state"], _row(lab)["attempts"]) == ("pending", "1")
    assert _row(lab)["last_error"].startswith("url: the signing secret: ")
    assert "abc" not in _row(lab)["last_error"]


def test_a_secret_that_is_not_there_keeps_the_event(
    lab: Lab, start: Start, receiver: Receiver
) -> None:
    start(notify_url=receiver.url, notify_secrets_secret="NoSuchSecret")
    assert lab.ask("notify", _written(lab)) == {"retried": 1}
    assert "ResourceNotFoundException" in _row(lab)["last_error"]


def test_without_an_address_and_a_bus_nothing_is_sent_or_read(lab: Lab, start: Start) -> None:
    """The schedule is disabled then; a run by hand does nothing."""
    start()
    assert notices.ways() == {}
    assert lab.ask("notify", _written(lab)) == {}
    assert lab.ask("notify", {}) == {}
    assert (_row(lab)["state"], _row(lab)["attempts"]) == ("pending", "0")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8081/_events", "https://10.0.0.1/", "https://a@example.com/"]
)
def test_an_address_that_a_deployment_refuses_stops_the_function(
    lab: Lab, start: Start, url: str
) -> None:
    """On AWS. The alarm on its errors fires, and the events wait."""
    start(notify_url=url, notify_secrets_secret="NotifySecretsSecret", stage="prod")
    with pytest.raises(SettingsError, match="NotifyUrl"):
        lab.ask("notify", _written(lab))
    assert _row(lab)["state"] == "pending"


def test_a_dead_event_is_counted_for_its_alarm(
    lab: Lab,
    start: Start,
    receiver: Receiver,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The metric that EventsDeadAlarm watches, under the stack's name, and one line in the log."""
    lab.put_secret("NotifySecretsSecret", json.dumps({"secrets": [NEW]}))
    start(notify_url=receiver.url, notify_secrets_secret="NotifySecretsSecret")
    receiver.status = 410
    assert lab.ask("notify", _written(lab)) == {"dead": 1}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (counted,) = [line for line in lines if "_aws" in line]
    alarm = alarms()["EventsDead"]
    assert counted[alarm["MetricName"]] == [1.0]
    assert counted["_aws"]["CloudWatchMetrics"][0]["Namespace"] == alarm["Namespace"]
    assert alarm["Dimensions"][0]["Name"] in counted
    (told,) = [vars(record) for record in caplog.records if record.levelname == "ERROR"]
    assert (told["outcome"], told["event_id"]) == ("dead", _row(lab)["id"])
    assert "alice" not in str(told)


def test_one_way_that_fails_does_not_repeat_the_other(
    lab: Lab, start: Start, receiver: Receiver
) -> None:
    """The address takes the event; the bus is not there (moto answers, and puts it nowhere)."""
    lab.put_secret("NotifySecretsSecret", json.dumps({"secrets": [NEW]}))
    start(
        notify_url=receiver.url, notify_bus="default", notify_secrets_secret="NotifySecretsSecret"
    )
    assert sorted(notices.ways()) == ["bus", "url"]
    assert lab.ask("notify", _written(lab)) == {"delivered": 1}
    assert len(receiver.got) == 1
