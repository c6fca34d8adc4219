"""What a meter sends, whole, and how often and how long it tries."""

import json
import random
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest
from topup_client import AsyncMeter, Meter, OutcomeUnknown, QuotaExhausted, Unavailable

URL: Final = "https://api.example.com"
DEBIT: Final = {"debit_id": "deb_1", "units": 1, "remaining": 5}
HOLD: Final = {**DEBIT, "hold_id": "hold_1", "expires_at": "2026-01-02T03:04:05Z"}
CLOSED: Final = {"hold_id": "h/1", "status": "captured", "units": 1, "released": 0}
Call = Callable[[Meter], object]


@pytest.mark.parametrize(
    ("call", "answer", "path", "body", "more"),
    [
        (lambda m: m.debit("alice"), DEBIT, "/debits", {"user_id": "alice", "units": 1}, {}),
        (
            lambda m: m.debit("alice", 3, "once", key_id="key_1"),
            DEBIT,
            "/debits",
            {"user_id": "alice", "units": 3, "key_id": "key_1"},
            {"idempotency-key": "once"},
        ),
        (
            lambda m: m.hold("alice", 3, 60),
            HOLD,
            "/holds",
            {"user_id": "alice", "units": 3, "expires_in_seconds": 60},
            {},
        ),
        (
            lambda m: m.hold("alice", 3, 60, at_least=2, key_id="key_1"),
            HOLD,
            "/holds",
            {
                "user_id": "alice",
                "units": 3,
                "expires_in_seconds": 60,
                "at_least": 2,
                "key_id": "key_1",
            },
            {},
        ),
        (lambda m: m.capture("h/1", 2), CLOSED, "/holds/h%2F1/capture", {"units": 2}, {}),
        (lambda m: m.release("h/1"), CLOSED, "/holds/h%2F1/release", None, {}),
    ],
)
def test_each_call_is_one_whole_request(
    call: Call, answer: dict[str, Any], path: str, body: Any, more: dict[str, str]
) -> None:
    """With the token that is right at that moment, and the time-outs of the meter."""
    sent: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=answer)

    tokens = iter(["first", "second"])
    transport = httpx.MockTransport(handle)
    meter = Meter(URL, lambda: next(tokens), timeout_seconds=3.5, transport=transport)
    for token in ("first", "second"):
        assert call(meter)
        request = sent.pop()
        assert (request.method, str(request.url)) == ("POST", f"{URL}/api/v1/quota{path}")
        assert json.loads(request.read() or b"null") == body
        named = ("authorization", "idempotency-key")
        headers = {name: request.headers[name] for name in named if name in request.headers}
        assert headers == {"authorization": f"Bearer {token}", **more}
        names = ("connect", "read", "write", "pool")
        assert request.extensions["timeout"] == dict.fromkeys(names, 3.5)


@pytest.mark.parametrize(
    ("base_url", "whole"),
    [
        ("https://a.example.com", "https://a.example.com/api/v1"),
        ("https://a.example.com//", "https://a.example.com/api/v1"),
        ("http://localhost:8080/api/v1", "http://localhost:8080/api/v1"),
        ("http://localhost:8080/api/v1/", "http://localhost:8080/api/v1"),
    ],
)
def test_an_address_may_end_in_several_ways(base_url: str, whole: str) -> None:
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json=DEBIT)

    Meter(base_url, "t", transport=httpx.MockTransport(handle)).debit("alice")
    assert asked == [f"{whole}/quota/debits"]


@pytest.mark.parametrize("kind", [Meter, AsyncMeter])
def test_a_meter_that_cannot_ask_is_refused_at_once(kind: Any) -> None:
    for base_url in ("", "api.example.com", "ftp://api.example.com"):
        with pytest.raises(ValueError, match="base_url must be"):
            kind(base_url, "t")
    with pytest.raises(ValueError, match="tries must be 1 or more, not 0"):
        kind(URL, "t", tries=0)
    kind(URL, "t", tries=1)


def _tries(monkeypatch: pytest.MonkeyPatch, call: Call, fault: Any, **options: Any) -> list[float]:
    """Return the pauses between the tries, at their longest. The last try fails."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(random, "uniform", lambda least, most: most if least == 0 else -1.0)

    def handle(_: httpx.Request) -> httpx.Response:
        if isinstance(fault, Exception):
            raise fault
        return httpx.Response(*fault[:1], json=fault[1])

    meter = Meter(URL, "t", transport=httpx.MockTransport(handle), **options)
    with pytest.raises((Unavailable, OutcomeUnknown, QuotaExhausted)):
        call(meter)
    return pauses


BUSY: Final = (503, {"code": "busy"})
UNKNOWN: Final = (503, {"code": "outcome_unknown"})


@pytest.mark.parametrize(
    ("call", "fault", "pauses"),
    [
        (lambda m: m.debit("alice"), httpx.ConnectError("no"), [0.2, 0.4]),
        (lambda m: m.debit("alice"), BUSY, [0.2, 0.4]),
        (lambda m: m.debit("alice"), (429, {}), [0.2, 0.4]),
        (lambda m: m.debit("alice"), UNKNOWN, []),
        (lambda m: m.debit("alice"), httpx.ReadTimeout("no"), []),
        (lambda m: m.debit("alice", 1, "once"), UNKNOWN, [0.2, 0.4]),
        (lambda m: m.debit("alice", 1, "once"), httpx.ReadTimeout("no"), [0.2, 0.4]),
        (lambda m: m.hold("alice", 1, 60), UNKNOWN, []),
        (lambda m: m.hold("alice", 1, 60), BUSY, [0.2, 0.4]),
        (lambda m: m.capture("hold_1", 1), UNKNOWN, [0.2, 0.4]),
        (lambda m: m.release("hold_1"), httpx.ReadError("no"), [0.2, 0.4]),
        (
            lambda m: m.debit("alice", 1, "once"),
            (402, {"code": "quota_exhausted", "remaining": 0, "top_up_url": "u"}),
            [],
        ),
    ],
)
def test_a_call_is_tried_three_times_where_a_repeat_is_safe(
    monkeypatch: pytest.MonkeyPatch, call: Call, fault: Any, pauses: list[float]
) -> None:
    """https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/."""
    assert _tries(monkeypatch, call, fault) == pauses


@pytest.mark.parametrize(("tries", "pauses"), [(1, []), (2, [0.2]), (4, [0.2, 0.4, 0.8])])
def test_a_call_is_tried_as_often_as_the_meter_was_told(
    monkeypatch: pytest.MonkeyPatch, tries: int, pauses: list[float]
) -> None:
    found = _tries(monkeypatch, lambda m: m.debit("alice"), BUSY, tries=tries)
    assert [round(pause, 6) for pause in found] == pauses


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol],
)
def test_where_no_connection_was_made_nothing_was_taken(error: Any) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        raise error("why")

    meter = Meter(URL, "t", tries=1, transport=httpx.MockTransport(handle))
    with pytest.raises(Unavailable, match="nothing was taken") as refused:
        meter.debit("alice")
    assert error.__name__ in str(refused.value)


@pytest.mark.parametrize(
    "error",
    [httpx.ReadTimeout, httpx.WriteTimeout, httpx.ReadError, httpx.WriteError,
     httpx.RemoteProtocolError, httpx.ProxyError],
)  # fmt: skip
def test_where_the_answer_is_missing_the_outcome_is_unknown(error: Any) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        raise error("why")

    meter = Meter(URL, "t", tries=1, transport=httpx.MockTransport(handle))
    with pytest.raises(OutcomeUnknown, match="taken or not") as unknown:
        meter.debit("alice")
    assert error.__name__ in str(unknown.value)


@pytest.mark.parametrize("key", ["a", "a b", "~" * 255, "!", "a" + " " * 253 + "b"])
def test_an_idempotency_key_of_up_to_255_characters_is_sent(key: str) -> None:
    sent: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["idempotency-key"])
        return httpx.Response(200, json=DEBIT)

    Meter(URL, "t", transport=httpx.MockTransport(handle)).debit("alice", 1, key)
    assert sent == [key]


@pytest.mark.parametrize("key", ["", " ", " a", "a ", "a" * 256, "é", "a\n", "\x7f"])
def test_any_other_idempotency_key_is_the_callers_mistake(key: str) -> None:
    """Without it a repeat would take twice."""

    def handle(_: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing is sent")

    with pytest.raises(ValueError, match="idempotency_key must be"):
        Meter(URL, "t", transport=httpx.MockTransport(handle)).debit("alice", 1, key)
