import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest
from client.conftest import Seconds
from client.gateway import Fault, Gateway, answers, lost_after, lost_before, unreachable
from functional.lab import SITE
from support import laws
from support.builders import Clock
from topup_client import Lease, LeaseClosed, Meter, OutcomeUnknown, QuotaExhausted, Unavailable
from topup_client.keeper import Keeper


def _lease(backend: Meter, seconds: Seconds, **terms: Any) -> Lease:
    """Looked after by hand: a keeper without threads."""
    return Lease(
        backend,
        "alice",
        keeper=Keeper(0, seconds),
        clock=seconds,
        **{"size": 100, "ahead_seconds": None, "low_water": 0, **terms},
    )


def _three(gateway: Gateway) -> tuple[int, int, int]:
    laws.check(gateway.books.store)
    balance = gateway.quota()
    return balance.used, balance.held, balance.remaining


def test_debits_are_spent_in_memory_and_captured_at_the_end(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """One hold, one capture, the rest given back."""
    gateway.fund("alice", 1000)
    with _lease(backend, seconds) as lease:
        for _ in range(60):
            lease.debit()
        assert _three(gateway) == (0, 100, 900)
        assert lease.left == 40
    assert _three(gateway) == (60, 0, 940)
    assert gateway.calls == {"holds": 1, "capture": 1}
    assert (lease.tally.spent, lease.tally.captured, lease.tally.released) == (60, 60, 40)


def test_unused_units_are_released(gateway: Gateway, backend: Meter, seconds: Seconds) -> None:
    gateway.fund("alice", 1000)
    lease = _lease(backend, seconds)
    with pytest.raises(QuotaExhausted):
        lease.debit(2500)
    lease.close()
    assert _three(gateway) == (0, 0, 1000)


def test_a_million_units_cost_fewer_than_a_thousand_calls(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """By the default terms: small holds at first and at the end, 2 500 units between."""
    gateway.fund("alice", 1_000_000)
    with Lease(backend, "alice", clock=seconds) as lease:
        for _ in range(100_000):
            lease.debit(10)
    assert _three(gateway) == (1_000_000, 0, 0)
    assert gateway.service_calls <= 1000


def test_when_less_remains_the_rest_is_taken_and_then_no_more(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """The last unit is served; the next call is refused with the address of the shop."""
    gateway.fund("alice", 130)
    with _lease(backend, seconds) as lease:
        for _ in range(130):
            lease.debit()
        with pytest.raises(QuotaExhausted) as refused:
            lease.debit()
        assert (refused.value.remaining, refused.value.top_up_url) == (0, SITE)
    assert _three(gateway) == (130, 0, 0)


def test_a_customer_without_units_costs_one_call_a_second(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock
) -> None:
    """And is served within a second of buying more."""
    lease = _lease(backend, seconds)
    for _ in range(50):
        with pytest.raises(QuotaExhausted):
            lease.debit()
    assert gateway.service_calls == 1
    gateway.fund("alice", 5)
    clock.advance(seconds=1)
    lease.debit()
    lease.close()
    assert _three(gateway) == (1, 0, 4)


def test_a_hold_is_captured_before_it_expires(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock
) -> None:
    """The service never gives back units that were served, though its clock is an hour off ours."""
    gateway.fund("alice", 100)
    lease = _lease(backend, seconds)
    lease.debit(30)
    clock.advance(seconds=49)
    assert lease.left == 0
    assert lease.tend() is None
    assert _three(gateway) == (30, 0, 70)
    lease.debit(70)
    lease.close()
    assert _three(gateway) == (100, 0, 0)
    assert lease.tally.lost == 0


def test_units_of_an_expired_hold_are_released_before_a_new_hold(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock
) -> None:
    """They may be all that the customer has."""
    gateway.fund("alice", 10)
    lease = _lease(backend, seconds)
    lease.debit(3)
    clock.advance(seconds=50)
    lease.debit(7)
    lease.close()
    assert _three(gateway) == (10, 0, 0)


def test_a_process_that_stood_still_too_long_counts_what_it_lost(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock
) -> None:
    """Its hold has expired: the customer has all units back, and the tally says what the seller
    bears.
    """
    gateway.fund("alice", 100)
    lease = _lease(backend, seconds)
    lease.debit(30)
    clock.advance(seconds=61)
    lease.debit(10)
    lease.close()
    assert (lease.tally.lost, lease.tally.captured) == (30, 10)
    assert _three(gateway) == (10, 0, 90)


@pytest.mark.parametrize("fault", [lost_after, lost_before, answers(503), unreachable])
def test_a_capture_whose_answer_is_lost_is_asked_for_again(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock, fault: Fault
) -> None:
    """Until it is known: used units are captured once."""
    gateway.fund("alice", 100)
    lease = _lease(backend, seconds)
    lease.debit(30)
    clock.advance(seconds=49)
    gateway.faults = [fault] * 3
    due = lease.tend()
    assert due == seconds() + 2
    clock.advance(seconds=2)
    assert lease.tend() is None
    assert _three(gateway) == (30, 0, 70)
    lease.close()


@pytest.mark.parametrize(
    "trouble",
    [(lost_before, OutcomeUnknown), (unreachable, Unavailable), (answers(503), OutcomeUnknown)],
)
def test_without_an_answer_nothing_is_served(
    gateway: Gateway,
    backend: Meter,
    seconds: Seconds,
    clock: Clock,
    trouble: tuple[Fault, type[Exception]],
) -> None:
    """It fails closed, does not ask at every call, and recovers."""
    gateway.fund("alice", 100)
    fault, error = trouble
    gateway.faults = [fault] * 3
    lease = _lease(backend, seconds)
    for _ in range(20):
        with pytest.raises(error):
            lease.debit()
    assert gateway.service_calls <= 3
    gateway.faults.clear()
    clock.advance(seconds=1)
    lease.debit()
    lease.close()
    assert _three(gateway) == (1, 0, 99)


def test_a_hold_whose_answer_was_lost_comes_back_by_itself(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock
) -> None:
    gateway.fund("alice", 100)
    gateway.faults = [lost_after]
    lease = _lease(backend, seconds)
    with pytest.raises(OutcomeUnknown):
        lease.debit()
    assert _three(gateway) == (0, 100, 0)
    clock.advance(seconds=61)
    for _ in range(100):
        lease.debit()
    lease.close()
    assert _three(gateway) == (100, 0, 0)


def test_the_next_hold_is_fetched_before_the_last_runs_out(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """By the keeper's thread, while the calls go on."""
    gateway.fund("alice", 1000)
    with Lease(
        backend, "alice", clock=seconds, size=100, ahead_seconds=None, low_water=40
    ) as lease:
        for _ in range(61):
            lease.debit()
        fetched = threading.Event()
        while not fetched.wait(
            0.001
        ):  # the keeper's thread does it: there is nothing to wait on but its effect
            if lease.left == 139:
                fetched.set()
        assert gateway.calls["holds"] == 2
        lease.debit(139)
    assert _three(gateway) == (200, 0, 800)


def test_an_idle_lease_gives_its_units_back(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock
) -> None:
    gateway.fund("alice", 100)
    lease = _lease(backend, seconds)
    lease.debit()
    clock.advance(seconds=50)
    assert lease.tend() is None
    assert _three(gateway) == (1, 0, 99)
    calls = gateway.service_calls
    clock.advance(hours=1)
    assert lease.tend() is None
    assert gateway.service_calls == calls


def test_a_closed_lease_serves_nothing(gateway: Gateway, backend: Meter, seconds: Seconds) -> None:
    gateway.fund("alice", 100)
    lease = _lease(backend, seconds)
    lease.debit()
    lease.close()
    lease.close()
    with pytest.raises(LeaseClosed):
        lease.debit()
    assert gateway.calls == {"holds": 1, "capture": 1}


@pytest.mark.parametrize("units", [0, -1, True, 1.5, "1"])
def test_units_are_whole_and_positive(backend: Meter, seconds: Seconds, units: Any) -> None:
    """Nothing else is ever added to the books."""
    with pytest.raises(ValueError, match="whole number"):
        _lease(backend, seconds).debit(units)


def _switches_threads(frame: FrameType, event: str, _: Any) -> Any:
    """Let another thread run before every line of the arithmetic."""
    if not frame.f_code.co_filename.endswith("purse.py"):
        return None
    if event == "line":
        time.sleep(0)  # gives the interpreter to another thread
    return _switches_threads


def test_threads_that_switch_at_every_line_never_oversell(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """What one thread has looked at, no other spends meanwhile."""
    gateway.fund("alice", 400)
    start = threading.Barrier(8)

    def spends() -> int:
        sys.settrace(_switches_threads)
        start.wait()
        served = 0
        for number in range(100):
            try:
                lease.debit(1 + number % 2)
                served += 1 + number % 2
            except (QuotaExhausted, Unavailable):
                pass
        return served

    with (
        Lease(backend, "alice", clock=seconds, size=5, ahead_seconds=None) as lease,
        ThreadPoolExecutor(8) as pool,
    ):
        served = sum(one.result() for one in [pool.submit(spends) for _ in range(8)])
    assert _three(gateway) == (served, 0, 400 - served)
    assert lease.tally.spent == served


class _Watched:
    """A lock that tells when somebody lies down to wait for it."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock, self.is_waited_for = lock, threading.Event()

    def acquire(self, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002 - threading's own
        if blocking:
            self.is_waited_for.set()
        return self._lock.acquire(blocking)

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_debit_that_has_looked_often_enough_waits_for_its_turn(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """It spends when the others are done, and not before."""
    gateway.fund("alice", 10)
    with (
        Lease(backend, "alice", clock=seconds, size=5, ahead_seconds=None) as lease,
        ThreadPoolExecutor(1) as pool,
    ):
        lease.debit()
        watched = _Watched(lease._lock)
        lease._lock = watched  # type: ignore[assignment]
        with watched:
            waits = pool.submit(lease.debit)
            assert watched.is_waited_for.wait(30)
            assert lease._purse.tally.spent == 1
        waits.result(30)
        assert lease.tally.spent == 2


@pytest.mark.parametrize("size", [1, 7, 100])
def test_threads_of_one_process_never_oversell(
    gateway: Gateway, backend: Meter, seconds: Seconds, size: int
) -> None:
    """Sixteen at once on one lease and on another of the same customer: every unit is served
    exactly once.
    """
    gateway.fund("alice", 1000)
    start = threading.Barrier(16)

    def spends(lease: Lease) -> int:
        start.wait()
        served = 0
        for number in range(200):
            try:
                lease.debit(1 + number % 3)
                served += 1 + number % 3
            except (QuotaExhausted, Unavailable):
                pass
        return served

    with (
        Lease(backend, "alice", clock=seconds, size=size, ahead_seconds=None) as one,
        Lease(backend, "alice", clock=seconds, size=size, ahead_seconds=None) as two,
    ):
        with ThreadPoolExecutor(16) as pool:
            served = sum(pool.map(spends, [one, two] * 8))
        assert one.tally.spent + two.tally.spent == served
    used, held, remaining = _three(gateway)
    assert (used, held, remaining) == (served, 0, 1000 - served)
    assert served >= 900
