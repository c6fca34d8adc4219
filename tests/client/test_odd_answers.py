"""What is no answer of the service's is not taken for one: the outcome is unknown."""

from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest
from topup_client import Debit, HoldClosed, Meter, OutcomeUnknown, Refused, Unavailable

DEBIT: Final = {"debit_id": "deb_1", "units": 1, "remaining": 5}
HOLD: Final = {
    "hold_id": "hold_1",
    "units": 1,
    "remaining": 5,
    "expires_at": "2026-01-02T03:04:05Z",
}
CLOSED: Final = {"hold_id": "hold_1", "status": "captured", "units": 1, "released": 0}
CALLS: Final[dict[str, tuple[Callable[[Meter], object], dict[str, Any]]]] = {
    "debit": (lambda meter: meter.debit("alice", 1), DEBIT),
    "hold": (lambda meter: meter.hold("alice", 1, 60), HOLD),
    "capture": (lambda meter: meter.capture("hold_1", 1), CLOSED),
    "release": (lambda meter: meter.release("hold_1"), CLOSED | {"status": "released"}),
}


def _meter(answer: httpx.Response) -> Meter:
    transport = httpx.MockTransport(lambda _: answer)
    return Meter("https://api.example.com", "token", tries=1, transport=transport)


def _odd(good: dict[str, Any]) -> list[Any]:
    """Without a member, with one of another type, and no such thing at all."""
    missing = [{name: good[name] for name in good if name != gone} for gone in good]
    texts = [good | {name: str(value)} for name, value in good.items() if type(value) is int]
    truths = [good | {name: True} for name, value in good.items() if type(value) is int]
    return [*missing, *texts, *truths, [], None, "text", 7]


@pytest.mark.parametrize(("call", "good"), CALLS.values(), ids=CALLS)
def test_a_success_that_is_not_the_services_is_an_unknown_outcome(
    call: Callable[[Meter], object], good: dict[str, Any]
) -> None:
    """A proxy may have answered for it."""
    assert call(_meter(httpx.Response(200, json=good)))
    for body in _odd(good):
        with pytest.raises(OutcomeUnknown):
            call(_meter(httpx.Response(200, json=body)))
    with pytest.raises(OutcomeUnknown):
        call(_meter(httpx.Response(200, text="<html>")))


@pytest.mark.parametrize("replayed", [True, False, None, "yes"])
def test_a_debit_is_replayed_where_the_service_says_so(replayed: object) -> None:
    """Anything but true is no."""
    answer = httpx.Response(200, json=DEBIT | {"idempotent_replayed": replayed})
    found = _meter(answer).debit("alice", 1)
    assert found == Debit("deb_1", 1, 5, replayed is True)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_request", Refused),
        (409, "hold_closed", HoldClosed),
        (428, "anything", Refused),
        (429, "anything", Unavailable),
        (430, "anything", Refused),
        (499, "anything", Refused),
        (500, "internal_error", OutcomeUnknown),
        (500, "busy", Unavailable),
        (503, "outcome_unknown", OutcomeUnknown),
        (503, "busy", Unavailable),
        (409, "busy", Refused),
    ],
)
def test_an_error_is_what_its_status_and_code_say(
    status: int, code: str, kind: type[Exception]
) -> None:
    """On both sides of each bound."""
    answer = httpx.Response(status, json={"code": code, "detail": "Why."})
    with pytest.raises(kind) as told:
        _meter(answer).debit("alice", 1)
    assert type(told.value) is kind
    assert status == 429 or "Why." in str(told.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"code": "c", "detail": "d", "message": "m"}, "d"),
        ({"code": "c", "message": "m"}, "m"),
        ({"code": "c"}, "no reason given"),
        ({}, "no reason given"),
        ([], "no reason given"),
    ],
)
def test_a_refusal_gives_the_reason_that_there_is(body: object, words: str) -> None:
    """The service's own, or API Gateway's, or none."""
    with pytest.raises(Refused) as told:
        _meter(httpx.Response(400, json=body)).debit("alice", 1)
    assert str(told.value).endswith(words)
