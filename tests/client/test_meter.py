import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from client.gateway import (
    TOKEN,
    URL,
    Fault,
    Gateway,
    answers,
    answers_html,
    lost_after,
    lost_before,
    unreachable,
)
from functional.lab import SITE
from topup_client import (
    AsyncMeter,
    HoldClosed,
    Meter,
    OutcomeUnknown,
    QuotaExhausted,
    Refused,
    Unavailable,
)

UNKNOWN: list[Fault] = [
    lost_before,
    answers(500, {"code": "internal_error"}),
    answers(502),
    answers(503, {"code": "outcome_unknown"}),
    answers(504),
    answers(200, {"debit_id": "deb_1", "units": "3", "remaining": 7}),
    answers(200, []),
    answers(402, {"code": "quota_exhausted"}),
    answers_html(502),
    answers_html(503),
    answers_html(200),
]
NOT_DONE: list[Fault] = [unreachable, answers(429), answers(503, {"code": "busy"})]


def test_a_debit_says_what_remains(gateway: Gateway, backend: Meter) -> None:
    gateway.fund("alice", 10)
    taken = backend.debit("alice", 3)
    assert (taken.units, taken.remaining, taken.replayed) == (3, 7, False)
    assert taken.debit_id.startswith("deb_")


def test_a_customer_without_units_gets_a_link_to_buy_more(gateway: Gateway, backend: Meter) -> None:
    """Nothing is taken, and the service is asked once."""
    gateway.fund("alice", 2)
    with pytest.raises(QuotaExhausted) as refused:
        backend.debit("alice", 3)
    assert (refused.value.remaining, refused.value.top_up_url) == (2, SITE)
    assert (gateway.quota().remaining, gateway.service_calls) == (2, 1)


@pytest.mark.parametrize("fault", UNKNOWN)
def test_a_plain_debit_of_unknown_outcome_is_not_repeated(
    gateway: Gateway, backend: Meter, fault: Fault
) -> None:
    """The caller gets an error that says the outcome is unknown."""
    gateway.fund("alice", 10)
    gateway.faults = [fault]
    with pytest.raises(OutcomeUnknown):
        backend.debit("alice", 3)
    assert gateway.service_calls == 1


@pytest.mark.parametrize("fault", [*UNKNOWN, *NOT_DONE, lost_after])
def test_a_debit_with_a_key_is_repeated_with_the_same_key(
    gateway: Gateway, backend: Meter, fault: Fault
) -> None:
    """And taken once, also where the first answer was lost."""
    gateway.fund("alice", 10)
    gateway.faults = [fault, fault]
    taken = backend.debit("alice", 3, "call 1")
    assert (taken.remaining, taken.replayed) == (7, fault is lost_after)
    assert {request.headers["idempotency-key"] for request in gateway.requests} == {"call 1"}
    assert (gateway.quota().used, gateway.service_calls) == (3, 3)


@pytest.mark.parametrize("fault", NOT_DONE)
def test_a_plain_debit_that_was_not_done_is_tried_again(
    gateway: Gateway, backend: Meter, fault: Fault
) -> None:
    """A connection that was never made has taken nothing."""
    gateway.fund("alice", 10)
    gateway.faults = [fault, fault]
    assert backend.debit("alice", 3).remaining == 7


CALLS: dict[str, Callable[[Meter | AsyncMeter], Any]] = {
    "debit": lambda meter: meter.debit("alice", 3),
    "keyed debit": lambda meter: meter.debit("alice", 3, "call 1"),
    "hold": lambda meter: meter.hold("alice", 3, 60),
    "capture": lambda meter: meter.capture("hold_1", 3),
    "release": lambda meter: meter.release("hold_1"),
}


@pytest.mark.parametrize("status", [500, 502, 503, 504, 200])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_page_from_something_in_front_of_the_service_leaves_the_outcome_unknown(
    gateway: Gateway,
    backend: Meter,
    async_backend: AsyncMeter,
    call: Callable[[Meter | AsyncMeter], Any],
    status: int,
) -> None:
    """Never an error about JSON, which a caller would take for one of its own."""
    gateway.faults = [answers_html(status)] * 6
    with pytest.raises(OutcomeUnknown):
        call(backend)

    async def awaited() -> None:
        await call(async_backend)

    with pytest.raises(OutcomeUnknown):
        asyncio.run(awaited())


@pytest.mark.parametrize(
    ("status", "kind"), [(403, Refused), (404, Refused), (413, Refused), (429, Unavailable)]
)
def test_a_page_that_refuses_says_that_nothing_was_taken(
    gateway: Gateway, backend: Meter, status: int, kind: type[Exception]
) -> None:
    """A firewall's, for example: it has no code of ours."""
    gateway.faults = [answers_html(status)] * 3
    with pytest.raises(kind) as refused:
        backend.debit("alice", 3)
    assert getattr(refused.value, "code", "") == ""


def test_an_unreachable_service_differs_from_an_unknown_outcome(
    gateway: Gateway, backend: Meter
) -> None:
    gateway.faults = [unreachable] * 9
    with pytest.raises(Unavailable):
        backend.debit("alice")
    assert gateway.service_calls == 3


def test_a_key_with_another_body_is_refused(gateway: Gateway, backend: Meter) -> None:
    gateway.fund("alice", 10)
    backend.debit("alice", 3, "k")
    with pytest.raises(Refused) as refused:
        backend.debit("alice", 4, "k")
    assert (refused.value.status, refused.value.code) == (409, "idempotency_conflict")


@pytest.mark.parametrize("key", ["", " ", " k", "k ", "é", "a\nb", "k" * 256])
def test_a_key_that_would_not_arrive_is_not_sent(
    gateway: Gateway, backend: Meter, key: str
) -> None:
    """A debit whose key is lost on the way would be taken again with every repeat."""
    with pytest.raises(ValueError, match="printable ASCII"):
        backend.debit("alice", 1, key)
    assert gateway.service_calls == 0


def test_a_hold_is_captured_in_part(gateway: Gateway, backend: Meter) -> None:
    """Placed, captured, the rest given back; a lost answer of the capture is asked for again."""
    gateway.fund("alice", 10)
    hold = backend.hold("alice", 6, 60)
    assert (hold.units, hold.remaining, hold.expires_at.utcoffset()) == (
        6,
        4,
        hold.expires_at.resolution * 0,
    )
    gateway.faults = [lost_after]
    closed = backend.capture(hold.hold_id, 2)
    assert (closed.status, closed.units, closed.released) == ("captured", 2, 4)
    with pytest.raises(HoldClosed):
        backend.release(hold.hold_id)
    assert (gateway.quota().used, gateway.quota().held) == (2, 0)


def test_a_hold_is_released(gateway: Gateway, backend: Meter) -> None:
    """All of it comes back; the lost answer is asked for again."""
    gateway.fund("alice", 10)
    hold = backend.hold("alice", 6, 60)
    gateway.faults = [lost_after]
    assert backend.release(hold.hold_id).released == 6
    assert gateway.quota().remaining == 10


def test_a_hold_of_unknown_outcome_is_not_repeated(gateway: Gateway, backend: Meter) -> None:
    """A second one would set aside twice."""
    gateway.fund("alice", 10)
    gateway.faults = [lost_after]
    with pytest.raises(OutcomeUnknown):
        backend.hold("alice", 6, 60)
    assert gateway.quota().held == 6


def test_a_token_is_asked_for_before_each_request(gateway: Gateway) -> None:
    """So that it may be refreshed; one that is not accepted is a refusal."""
    gateway.fund("alice", 10)
    tokens = [TOKEN, "expired"]
    meter = Meter(URL, lambda: tokens.pop(0), transport=gateway)
    meter.debit("alice")
    with pytest.raises(Refused) as refused:
        meter.debit("alice")
    assert refused.value.status == 401
    with pytest.raises(Unavailable, match="token callable"):
        meter.debit("alice")
    assert gateway.service_calls == 2


@pytest.mark.parametrize(
    "url",
    ["https://topup.example.com", "https://topup.example.com/", "https://topup.example.com/api/v1"],
)
def test_the_address_may_name_the_api_or_not(gateway: Gateway, url: str) -> None:
    gateway.fund("alice", 1)
    assert Meter(url, TOKEN, transport=gateway).debit("alice").remaining == 0


@pytest.mark.parametrize(("url", "tries"), [("topup.example.com", 3), ("", 3), (URL, 0)])
def test_a_meter_that_cannot_work_is_not_made(url: str, tries: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Meter(url, TOKEN, tries=tries)


def test_the_awaited_meter_does_the_same(gateway: Gateway, async_backend: AsyncMeter) -> None:
    gateway.fund("alice", 10)

    async def story() -> list[Any]:
        async with async_backend as meter:
            gateway.faults = [lost_after]
            first = await meter.debit("alice", 3, "k")
            hold = await meter.hold("alice", 4, 60)
            captured = await meter.capture(hold.hold_id, 1)
            other = await meter.hold("alice", 6, 60)
            released = await meter.release(other.hold_id)
            gateway.faults = [lost_before]
            with pytest.raises(OutcomeUnknown):
                await meter.debit("alice")
            with pytest.raises(QuotaExhausted):
                await meter.debit("alice", 7)
            return [first.replayed, captured.released, released.released]

    assert asyncio.run(story()) == [True, 3, 6]
    assert (gateway.quota().used, gateway.quota().remaining) == (4, 6)
