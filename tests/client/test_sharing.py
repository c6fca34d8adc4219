"""Several processes spend one customer's units, each by a lease of its own: who gets the last?

Each worker is a lease with a keeper that the test calls when it is due.
"""

import asyncio
from collections.abc import Sequence

import pytest
from client.conftest import Seconds
from client.gateway import Gateway
from client.workers import Crowd, at_random, evenly
from support import laws
from support.builders import Clock
from topup_client import AsyncLease, AsyncMeter, Lease, Meter, QuotaExhausted
from topup_client.keeper import Keeper

WORKERS = 4


def _three(gateway: Gateway) -> tuple[int, int, int]:
    laws.check(gateway.books.store)
    balance = gateway.quota()
    return balance.used, balance.held, balance.remaining


@pytest.mark.parametrize("workers", [1, 2, 4, 7, 16])
def test_workers_at_half_a_call_a_second_serve_the_last_unit_before_a_refusal(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock, workers: int
) -> None:
    """No unit lies idle with one of them while another is asked for it."""
    gateway.fund("alice", 100)
    crowd = Crowd(backend, seconds, clock, workers)
    assert crowd.served(evenly(workers, 0.5)) == 100
    crowd.close()
    assert _three(gateway) == (100, 0, 0)


@pytest.mark.parametrize("seed", range(20))
def test_so_they_do_when_calls_comeat_random(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock, seed: int
) -> None:
    """In bursts and with pauses, which each worker's estimate of the rate must stand."""
    gateway.fund("alice", 100)
    crowd = Crowd(backend, seconds, clock, WORKERS)
    assert crowd.served(at_random(WORKERS, 0.5, seed)) == 100
    crowd.close()
    assert _three(gateway) == (100, 0, 0)


def test_a_second_worker_is_served_though_the_first_has_spent_for_long(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock
) -> None:
    """A busy worker that sees no others holds half of what remains at most."""
    gateway.fund("alice", 100)
    crowd = Crowd(backend, seconds, clock, 2)
    first, second = crowd.leases
    for _ in range(60):
        first.debit()
    second.debit()
    crowd.close()
    assert _three(gateway) == (61, 0, 39)


def test_a_worker_that_stops_gives_its_units_to_the_others(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock
) -> None:
    """After half of ``ahead_seconds`` without a call, and not at the end of its hold."""
    gateway.fund("alice", 100)
    crowd = Crowd(backend, seconds, clock, 2)
    first, second = crowd.leases
    for _ in range(30):
        first.debit()
    assert first.left > 0
    due = first.tend()
    assert due == pytest.approx(seconds() + 10, abs=0.01)
    clock.advance(milliseconds=9900)
    first.tend()
    assert first.left > 0
    clock.advance(milliseconds=200)
    assert first.tend() is None
    assert _three(gateway) == (30, 0, 70)
    second.debit(70)
    crowd.close()
    assert _three(gateway) == (100, 0, 0)


def test_a_worker_that_has_slowed_down_keeps_no_large_hold(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock
) -> None:
    """It is never idle for long, but its hold is for a rate that is no more: the second hold after
    it knows the new rate.
    """
    gateway.fund("alice", 100_000)
    crowd = Crowd(backend, seconds, clock, 1)
    (lease,) = crowd.leases
    for _ in range(5000):
        lease.debit()
        lease.tend()
    assert lease.left > 1000
    for _ in range(28):
        clock.advance(seconds=3)
        lease.debit()
        lease.tend()
    assert lease.left < 10
    crowd.close()
    assert _three(gateway) == (5028, 0, 94_972)


def test_a_lease_begins_with_what_the_call_needs_and_grows_with_use(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock
) -> None:
    """One, four, sixteen ... units, until a hold lasts for ``ahead_seconds``."""
    gateway.fund("alice", 1_000_000)
    with Lease(backend, "alice", keeper=Keeper(0, seconds), clock=seconds, low_water=0) as lease:
        for _ in range(2000):
            clock.advance(milliseconds=100)
            lease.debit()
    sizes = [body["units"] for body in gateway.bodies("/quota/holds")]
    assert sizes[:4] == [1, 4, 16, 64]
    assert set(sizes[4:]) <= {199, 200}
    assert {body["at_least"] for body in gateway.bodies("/quota/holds")} == {1}


@pytest.mark.parametrize("units", [5, 70])
def test_a_call_that_costs_much_is_served_by_a_hold_of_as_much(
    gateway: Gateway, backend: Meter, seconds: Seconds, units: int
) -> None:
    """Or refused with what remains, and nothing is set aside."""
    gateway.fund("alice", 2 * units + 1)
    with Lease(backend, "alice", keeper=Keeper(0, seconds), clock=seconds) as lease:
        lease.debit(units)
        lease.debit(units)
        with pytest.raises(QuotaExhausted) as refused:
            lease.debit(units)
        assert refused.value.remaining == 1
    assert _three(gateway) == (2 * units, 0, 1)


@pytest.mark.parametrize("workers", [2, 4])
def test_awaited_leases_share_as_blocking_ones_do(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds, clock: Clock, workers: int
) -> None:
    """Workers of one loop at half a call a second each serve the last unit, too."""
    gateway.fund("alice", 100)

    async def story() -> int:
        leases = [AsyncLease(async_backend, "alice", clock=seconds) for _ in range(workers)]
        served = await _served(leases, clock)
        for lease in leases:
            await lease.aclose()
        return served

    async def _served(leases: Sequence[AsyncLease], clock: Clock) -> int:
        for number in range(200):
            try:
                await leases[number % workers].debit()
            except QuotaExhausted:
                return number
            clock.advance(milliseconds=2000 // workers)
            for lease in leases:
                await lease.tend()
        raise AssertionError("calls never end")

    assert asyncio.run(story()) == 100
    assert _three(gateway) == (100, 0, 0)
