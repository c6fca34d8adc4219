"""Details of the client that only show when something else happens at the same moment."""

import asyncio
import random
import threading
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from client.conftest import Seconds
from client.gateway import Gateway, answers, unreachable
from support import laws
from support.builders import Clock
from topup_client import (
    AsyncLease,
    AsyncLeases,
    AsyncMeter,
    Lease,
    LeaseClosed,
    Meter,
    OutcomeUnknown,
    QuotaExhausted,
    QuotaMiddleware,
    Refused,
    Unavailable,
    header_user,
)
from topup_client.answers import NOT_DONE
from topup_client.errors import HoldClosed, TopupError
from topup_client.keeper import Keeper
from topup_client.purse import Purse
from topup_client.results import Hold
from topup_client.terms import Terms

EVER = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS_MAX = 30
"""No call here takes as long, however busy the machine is. A longer wait would be in vain."""


def _run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def test_the_next_hold_is_fetched_before_the_last_runs_out(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds
) -> None:
    """By the lease's task, while the calls go on."""
    gateway.fund("alice", 1000)

    async def story() -> None:
        async with AsyncLease(
            async_backend, "alice", clock=seconds, size=100, ahead_seconds=None, low_water=40
        ) as lease:
            for _ in range(61):
                await lease.debit()
            while lease.left != 139:  # noqa: ASYNC110 - the lease's own task does it: there is nothing to wait on but its effect
                await asyncio.sleep(0)
            assert gateway.bodies("/quota/holds") == [
                {"user_id": "alice", "units": 100, "expires_in_seconds": 60, "at_least": 1},
                {"user_id": "alice", "units": 100, "expires_in_seconds": 60, "at_least": 1},
            ]

    _run(asyncio.wait_for(story(), SECONDS_MAX))
    laws.check(gateway.books.store)
    assert gateway.quota().used == 61


def test_a_lease_that_was_closed_in_the_midst_of_a_call_is_replaced(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds
) -> None:
    """The call is served by the next one, and the others by it too."""
    gateway.fund("alice", 10)

    async def story() -> None:
        async with AsyncLeases(async_backend, clock=seconds) as leases:
            with pytest.raises(QuotaExhausted):
                await leases.debit("alice", 11)
            await leases._leases["alice", None].aclose()
            await leases.debit("alice", 4)
            await leases.debit("alice", 6)

    _run(asyncio.wait_for(story(), SECONDS_MAX))
    laws.check(gateway.books.store)
    assert (gateway.quota().used, gateway.quota().held) == (10, 0)


def test_closing_waits_for_a_hold_that_is_on_its_way(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds
) -> None:
    """Its caller has gone away: what was set aside goes back at once, not when the hold expires."""
    gateway.fund("alice", 100)

    async def story() -> None:
        lease = AsyncLease(
            async_backend, "alice", clock=seconds, size=60, ahead_seconds=None, at_exit=False
        )
        caller = asyncio.create_task(lease.debit())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)
        await lease.aclose()

    _run(asyncio.wait_for(story(), SECONDS_MAX))
    assert gateway.calls["holds"] == 1
    assert (gateway.quota().held, gateway.quota().remaining) == (0, 100)


def test_a_lease_with_a_waiting_caller_is_not_swept(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds
) -> None:
    """It has nothing yet: what it is about to get would be forgotten."""
    gateway.fund("alice", 100)

    async def story() -> None:
        async with AsyncLease(async_backend, "alice", clock=seconds) as lease:
            caller = asyncio.create_task(lease.debit())
            await asyncio.sleep(0)
            assert not lease.close_if_empty()
            await caller

    _run(asyncio.wait_for(story(), SECONDS_MAX))
    assert gateway.quota().used == 1


def test_a_blocking_lease_with_a_waiting_caller_is_not_swept(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    gateway.fund("alice", 100)
    asked, answered = threading.Event(), threading.Event()

    def slowly(act: Any) -> Any:
        asked.set()
        assert answered.wait(SECONDS_MAX)
        return act()

    gateway.faults = [slowly]
    with Lease(backend, "alice", clock=seconds) as lease:
        caller = threading.Thread(target=lease.debit)
        caller.start()
        assert asked.wait(SECONDS_MAX)
        assert not lease.close_if_empty()
        answered.set()
        caller.join()
    assert gateway.quota().used == 1


class Tended:
    """Counts how often it was looked after."""

    def __init__(self) -> None:
        """Never yet."""
        self.called = threading.Event()

    def tend(self) -> None:
        """Nothing more to do."""
        self.called.set()


def test_an_earlier_due_time_is_kept_when_a_later_one_is_added() -> None:
    """The later word may come from somebody who does not know of the earlier one."""
    keeper, tended = Keeper(1, time.monotonic), Tended()
    keeper.at(tended, time.monotonic() + 0.2)
    keeper.at(tended, time.monotonic() + 1000)
    assert tended.called.wait(SECONDS_MAX)
    keeper.stop()


def test_a_fault_in_looking_after_one_lease_does_not_end_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged; the thread goes on."""

    class Faulty(Tended):
        def tend(self) -> None:
            """Never works."""
            raise RuntimeError("a bug")

    keeper, tended = Keeper(1, time.monotonic), Tended()
    keeper.wake(Faulty())
    keeper.wake(tended)
    assert tended.called.wait(SECONDS_MAX)
    keeper.stop()
    assert "a lease could not be looked after" in caplog.text


def test_each_hold_ends_at_its_own_time() -> None:
    """The first one's units are not spent any more, the second one's still are."""
    purse = Purse(Terms(size=100, ahead_seconds=None, lifetime_seconds=60, low_water=0))
    purse.add(Hold("hold_1", 10, 0, EVER), 10, 0)
    purse.add(Hold("hold_2", 20, 0, EVER), 20, 30)
    assert purse.spend(1, 48.9)
    assert purse.spend(20, 49.1)
    assert not purse.spend(1, 49.2)
    assert [(one.hold_id, one.used) for one in purse.to_close] == [("hold_1", 1), ("hold_2", 20)]


def test_the_next_hold_is_wanted_before_the_newest_ends() -> None:
    """Half of the margin before its units can be spent no more, though many are left."""
    purse = Purse(Terms(size=100, ahead_seconds=None, lifetime_seconds=60, low_water=0))
    purse.add(Hold("hold_1", 50, 0, EVER), 50, 0)
    purse.add(Hold("hold_2", 50, 0, EVER), 50, 30)
    assert not purse.is_low(45)
    assert not purse.is_low(73.9)
    assert purse.is_low(74)


def test_pauses_grow_between_the_tries_of_a_service_in_trouble(
    gateway: Gateway, backend: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as long each time at most: a service in trouble is not helped by more calls."""
    pauses: list[float] = []
    monkeypatch.setattr(random, "uniform", lambda _, longest: longest)
    monkeypatch.setattr(time, "sleep", pauses.append)
    gateway.faults = [unreachable] * 3
    with pytest.raises(Unavailable):
        backend.debit("alice")
    assert [round(pause / pauses[0], 6) for pause in pauses] == [1, 2]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, {"code": NOT_DONE}, Unavailable),
        (503, {"code": NOT_DONE}, Unavailable),
        (400, {"code": "invalid_request", "detail": "units must be whole"}, Refused),
        (401, {"message": "Unauthorized"}, Refused),
        (409, {"code": "hold_closed", "detail": "this hold was released"}, HoldClosed),
        (429, {"message": "Too Many Requests"}, Unavailable),
    ],
)
def test_an_answer_that_is_no_success_says_what_it_means(
    gateway: Gateway, backend: Meter, status: int, body: dict[str, Any], kind: type[TopupError]
) -> None:
    gateway.faults = [answers(status, body)] * 3
    with pytest.raises(kind) as told:
        backend.release("hold_1")
    assert type(told.value) is kind
    if status < 429:
        assert str(body.get("detail", body.get("message"))) in str(told.value)


@pytest.mark.parametrize("kind", ["something.new", "lifespan"])
def test_what_is_neither_a_call_nor_a_socket_is_free(
    gateway: Gateway, async_backend: AsyncMeter, kind: str
) -> None:
    """A server's other messages reach the application."""
    reached: list[str] = []

    async def app(scope: Any, *_: Any) -> None:
        reached.append(scope["type"])

    def nobody(_: Any) -> str:
        raise AssertionError("there is no caller to look for")

    async def nothing(*_: Any) -> Any:
        return {}

    _run(QuotaMiddleware(app, async_backend, nobody)({"type": kind}, nothing, nothing))
    assert reached == [kind]
    assert gateway.service_calls == 0


def test_a_headers_value_is_the_user_id_where_no_lookup_is_given() -> None:
    scope: dict[str, Any] = {"headers": [(b"X-User", b"alice"), (b"other", b"bob")]}
    assert header_user("x-USER")(scope) == "alice"
    assert header_user("other", {"bob": "robert"}.get)(scope) == "robert"


def test_an_expired_hold_may_release_all_that_there_is(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds, clock: Clock
) -> None:
    """It is given back before more is asked for."""
    gateway.fund("alice", 10)

    async def story() -> None:
        async with AsyncLease(
            async_backend, "alice", clock=seconds, size=10, ahead_seconds=None, low_water=0
        ) as lease:
            await lease.debit(4)
            clock.advance(seconds=55)
            await lease.debit(6)

    _run(asyncio.wait_for(story(), SECONDS_MAX))
    assert (gateway.quota().used, gateway.quota().remaining) == (10, 0)


def test_two_callers_of_a_lease_that_is_closed_meet_in_the_next_one(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds
) -> None:
    """Nothing that it holds is forgotten at the end."""
    gateway.fund("alice", 100)

    async def story() -> None:
        async with AsyncLeases(async_backend, clock=seconds, size=30, ahead_seconds=None) as leases:
            callers = [asyncio.create_task(leases.debit("alice", 2)) for _ in range(3)]
            await asyncio.sleep(0)
            await leases._leases["alice", None].aclose()
            await asyncio.gather(*callers)
        with pytest.raises(LeaseClosed):
            await leases.debit("bob")

    _run(asyncio.wait_for(story(), SECONDS_MAX))
    assert (gateway.quota().used, gateway.quota().held) == (6, 0)


def test_a_keeper_has_no_more_threads_than_it_was_given_and_makes_no_early_call() -> None:
    keeper, later, first, last = Keeper(1, lambda: 0.0), Tended(), Tended(), Tended()
    keeper.at(later, 5.0)
    for one in (first, last):
        keeper.wake(one)
        assert one.called.wait(SECONDS_MAX)
    assert not later.called.is_set()
    assert keeper._running == 1
    keeper.stop()


def test_only_a_call_that_may_succeed_in_a_moment_says_when(
    gateway: Gateway, async_backend: AsyncMeter
) -> None:
    """A customer without units is not told to try again."""
    sent: list[Any] = []

    async def app(*_: Any) -> None:
        raise AssertionError("nobody has paid")

    async def send(message: Any) -> None:
        sent.append(message)

    async def nothing(*_: Any) -> Any:
        return {}

    call = QuotaMiddleware(app, async_backend, lambda _: "alice")
    for faults in ([], [unreachable] * 3):
        gateway.faults = list(faults)
        _run(call({"type": "http", "headers": []}, nothing, send))
    answers_by_status = {
        message["status"]: dict(message["headers"]) for message in sent if "status" in message
    }
    assert (b"retry-after" in answers_by_status[402], b"retry-after" in answers_by_status[503]) == (
        False,
        True,
    )


def test_a_stopped_keeper_ends_its_thread_and_makes_no_more_calls() -> None:
    """A process that closes its leases keeps nothing of them."""
    keeper, first, last = Keeper(1, lambda: 0.0), Tended(), Tended()
    before = set(threading.enumerate())
    keeper.wake(first)
    (thread,) = set(threading.enumerate()) - before
    assert first.called.wait(SECONDS_MAX)
    keeper.stop()
    thread.join(SECONDS_MAX)
    assert not thread.is_alive()
    keeper.wake(last)
    assert not last.called.is_set()


def test_when_the_rest_was_taken_no_further_hold_is_requested(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """The next call asks once, for where more is sold; those after it are refused from memory."""
    gateway.fund("alice", 30)
    with Lease(
        backend, "alice", clock=seconds, size=100, ahead_seconds=None, low_water=20
    ) as lease:
        lease.debit(20)
        assert lease.tend() is not None
        lease.debit(10)
        assert gateway.calls["holds"] == 1
        for _ in range(3):
            with pytest.raises(QuotaExhausted):
                lease.debit()
        assert gateway.calls["holds"] == 2


@pytest.mark.parametrize(
    "members",
    [
        {"remaining": "5", "top_up_url": "https://x"},
        {"remaining": 5},
        {"remaining": True, "top_up_url": "https://x"},
    ],
)
def test_a_402_that_is_not_the_services_is_an_unknown_outcome(
    gateway: Gateway, backend: Meter, members: dict[str, Any]
) -> None:
    """Something between us and the service has answered."""
    gateway.faults = [answers(402, {"code": "quota_exhausted", **members})]
    with pytest.raises(OutcomeUnknown):
        backend.debit("alice")


def test_every_request_has_the_time_that_the_meter_was_given(
    gateway: Gateway, backend: Meter
) -> None:
    """Longer than the service's own, so that it is the service that gives up first."""
    gateway.fund("alice", 1)
    backend.debit("alice")
    assert gateway.requests[0].extensions["timeout"] == dict.fromkeys(
        ("connect", "read", "write", "pool"), 10.0
    )
