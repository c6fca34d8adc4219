"""Leases of customers who have gone quiet: time alone captures what they used.

Nobody calls the keeper, the clock is the real one.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any, Final, Protocol

import pytest
from client.gateway import Fault, Gateway, answers, lost_after, unreachable
from support import laws
from topup_client import AsyncLease, AsyncLeases, AsyncMeter, Lease, Leases, Meter

TERMS: Final[dict[str, Any]] = {
    "size": 100,
    "ahead_seconds": None,
    "low_water": 0,
    "lifetime_seconds": 2,
    "margin_seconds": 0.9,
}
"""A hold is spent from for a tenth of a second, and is then to be captured."""
LOOKS_MAX: Final = 1500
LOOK_SECONDS: Final = 0.01
ROUNDS: Final = 3
"""Quiet, back again, quiet again: the keeper must not be done after the first time."""


class _Spends(Protocol):
    def debit(self, units: int) -> Any:
        """Of Alice."""


@pytest.fixture(autouse=True)
def _again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture that failed is tried again at once."""
    monkeypatch.setattr("topup_client.purse.CLOSE_AGAIN_SECONDS", LOOK_SECONDS)


def _looks(gateway: Gateway, used: int) -> Iterator[None]:
    """Yield until so many units are captured and nothing is held, or for as long as any machine
    should need.
    """
    for _ in range(LOOKS_MAX):
        balance = gateway.quota()
        if (balance.used, balance.held) == (used, 0):
            laws.check(gateway.books.store)
            return
        yield
    raise AssertionError(f"nobody captured: {gateway.quota()}, {gateway.calls}")


def _goes_quiet(gateway: Gateway, lease: _Spends) -> None:
    for used in range(30, 30 * ROUNDS + 1, 30):
        lease.debit(30)
        for _ in _looks(gateway, used):
            time.sleep(LOOK_SECONDS)


async def _goes_quiet_awaiting(gateway: Gateway, lease: _Spends) -> None:
    for used in range(30, 30 * ROUNDS + 1, 30):
        await lease.debit(30)
        for _ in _looks(gateway, used):
            await asyncio.sleep(LOOK_SECONDS)


class _OfAlice:
    """One customer of many."""

    def __init__(self, leases: Leases | AsyncLeases) -> None:
        self._leases = leases

    def debit(self, units: int) -> Any:
        return self._leases.debit("alice", units)


def test_a_quiet_customers_lease_is_captured_by_a_thread(gateway: Gateway, backend: Meter) -> None:
    gateway.fund("alice", 1000)
    with Lease(backend, "alice", **TERMS) as lease:
        _goes_quiet(gateway, lease)
        assert (lease.tally.captured, lease.tally.lost) == (30 * ROUNDS, 0)


def test_a_quiet_customers_lease_among_others_is_captured_by_a_thread(
    gateway: Gateway, backend: Meter
) -> None:
    gateway.fund("alice", 1000)
    gateway.fund("bob", 1000)
    with Leases(backend, **TERMS) as leases:
        leases.debit("bob", 1)
        _goes_quiet(gateway, _OfAlice(leases))


def test_a_quiet_customers_lease_is_captured_by_a_task(
    gateway: Gateway, async_backend: AsyncMeter
) -> None:
    gateway.fund("alice", 1000)

    async def story() -> None:
        async with AsyncLease(async_backend, "alice", **TERMS) as lease:
            await _goes_quiet_awaiting(gateway, lease)
            assert (lease.tally.captured, lease.tally.lost) == (30 * ROUNDS, 0)

    asyncio.run(story())


def test_a_quiet_customers_lease_among_others_is_captured_by_a_task(
    gateway: Gateway, async_backend: AsyncMeter
) -> None:
    gateway.fund("alice", 1000)
    gateway.fund("bob", 1000)

    async def story() -> None:
        async with AsyncLeases(async_backend, **TERMS) as leases:
            await leases.debit("bob", 1)
            await _goes_quiet_awaiting(gateway, _OfAlice(leases))

    asyncio.run(story())


@pytest.mark.parametrize("fault", [lost_after, answers(503), unreachable])
def test_a_capture_that_failed_is_tried_again_by_time_alone(
    gateway: Gateway, backend: Meter, async_backend: AsyncMeter, fault: Fault
) -> None:
    """As often as it takes, by a thread and by a task."""
    gateway.fund("alice", 1000)
    faults: list[Fault | None] = [None, *itertools.repeat(fault, 5)]  # the hold is placed
    gateway.faults = list(faults)
    with Lease(backend, "alice", **TERMS) as lease:
        lease.debit(30)
        for _ in _looks(gateway, 30):
            time.sleep(LOOK_SECONDS)
    gateway.faults = list(faults)

    async def story() -> None:
        async with AsyncLease(async_backend, "alice", **TERMS) as lease:
            await lease.debit(30)
            for _ in _looks(gateway, 60):
                await asyncio.sleep(LOOK_SECONDS)

    asyncio.run(story())
    # A capture whose answer is lost is carried out at once, so the end may come before other tries.
    assert gateway.faults == [] or fault is lost_after
    assert (gateway.quota().used, gateway.quota().held) == (60, 0)
