"""What a lease leaves behind that was closed, and what it spares the service while it is open."""

import asyncio
import gc
import time
import weakref
from typing import Any

import pytest
from client.conftest import Seconds
from client.gateway import Gateway, answers
from topup_client import AsyncLease, AsyncLeases, AsyncMeter, Lease, Leases, Meter
from topup_client.errors import LeaseClosed, QuotaExhausted, Refused
from topup_client.keeper import Keeper
from topup_client.purse import Purse
from topup_client.results import Hold
from topup_client.terms import Terms


def _is_forgotten(one: "weakref.ref[Any]") -> bool:
    """Whether nothing holds it any more, once the keeper's thread has had time to end."""
    for _ in range(20):
        gc.collect()
        if one() is None:
            return True
        time.sleep(0.1)
    return False


def test_a_lease_that_was_closed_is_forgotten(gateway: Gateway, backend: Meter) -> None:
    """A process that opens one for each customer and closes it does not grow."""
    gateway.fund("alice", 10)
    lease = Lease(backend, "alice", size=5, ahead_seconds=None, low_water=0)
    lease.debit(1)
    lease.close()
    gone = weakref.ref(lease)
    del lease
    assert _is_forgotten(gone)


def test_leases_that_were_closed_are_forgotten(gateway: Gateway, backend: Meter) -> None:
    """All of them."""
    gateway.fund("alice", 10)
    leases = Leases(backend, size=5, ahead_seconds=None, low_water=0)
    leases.debit("alice", 1)
    leases.close()
    gone = weakref.ref(leases)
    del leases
    assert _is_forgotten(gone)


@pytest.mark.parametrize("kind", ["one", "many"])
def test_awaited_leases_that_were_closed_are_forgotten(
    gateway: Gateway, async_backend: AsyncMeter, kind: str
) -> None:
    """As the blocking ones."""
    gateway.fund("alice", 10)

    async def story() -> "weakref.ref[Any]":
        made: Any
        if kind == "one":
            made = AsyncLease(async_backend, "alice", size=5, ahead_seconds=None, low_water=0)
            await made.debit(1)
        else:
            made = AsyncLeases(async_backend, size=5, ahead_seconds=None, low_water=0)
            await made.debit("alice", 1)
        await made.aclose()
        return weakref.ref(made)

    gone = asyncio.run(story())
    assert _is_forgotten(gone)


class Counting(Keeper):
    """Counts how often it is woken."""

    woken = 0

    def wake(self, lease: Any) -> None:
        """See Keeper."""
        self.woken += 1
        super().wake(lease)


def test_a_debit_from_memory_wakes_no_thread_until_units_are_low(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """The fetch wakes the keeper once, and the first debit below the mark once more."""
    gateway.fund("alice", 10)
    keeper = Counting(1, seconds)
    lease = Lease(
        backend, "alice", keeper=keeper, clock=seconds, size=10, ahead_seconds=None, low_water=3
    )
    lease.debit(1)
    assert keeper.woken == 1
    for _ in range(6):
        lease.debit(1)
    assert (lease.left, keeper.woken) == (3, 1)
    lease.debit(1)
    assert keeper.woken == 2
    lease.close()
    keeper.stop()


@pytest.mark.parametrize(("refusal_seconds", "quiet"), [(1, 15), (20, 20)])
def test_after_a_refusal_a_lease_does_not_ask_ahead_for_a_while(
    refusal_seconds: float, quiet: int
) -> None:
    """A quarter of a hold's life, or as long as the refusal is remembered if that is longer."""
    terms = Terms(
        size=100, ahead_seconds=None, low_water=50, lifetime_seconds=60, margin_seconds=5,
        refusal_seconds=refusal_seconds,
    )  # fmt: skip
    purse = Purse(terms)
    purse.add(Hold("hold_1", 100, 0, None), 100, 1000.0)  # type: ignore[arg-type]
    assert purse.spend(60, 1000.0)
    assert purse.is_low(1000.0)
    purse.fetch_failed(QuotaExhausted(0, "https://shop.example.com"), 1001.0)
    assert not purse.is_low(1001.0 + quiet - 0.1)
    assert purse.is_low(1001.0 + quiet)


def test_a_refusal_of_the_service_has_every_member() -> None:
    """What stands in a log must be enough to act on."""
    error = Refused(400, "exceeds_hold", "the hold is of 5 units")
    assert str(error) == "400 exceeds_hold: the hold is of 5 units"
    assert str(Refused(403, "", "Forbidden")) == "403 refused: Forbidden"


def test_a_lease_with_units_is_not_swept(gateway: Gateway, backend: Meter) -> None:
    """Units that were served would never be captured."""
    gateway.fund("alice", 10)
    with Lease(backend, "alice", size=5, ahead_seconds=None, low_water=0) as lease:
        lease.debit(2)
        assert not lease.close_if_empty()
        lease.debit(1)
    assert (gateway.quota().used, gateway.quota().held) == (3, 0)


def test_an_awaited_lease_with_units_is_not_swept(
    gateway: Gateway, async_backend: AsyncMeter
) -> None:
    """As the blocking one."""
    gateway.fund("alice", 10)

    async def story() -> None:
        async with AsyncLease(
            async_backend, "alice", size=5, ahead_seconds=None, low_water=0
        ) as lease:
            await lease.debit(2)
            assert not lease.close_if_empty()
            await lease.debit(1)

    asyncio.run(story())
    assert (gateway.quota().used, gateway.quota().held) == (3, 0)


def test_a_closed_lease_stays_closed_though_its_hold_could_not_be_captured(
    gateway: Gateway, backend: Meter
) -> None:
    """It has something to capture, and no caller spends from it."""
    gateway.fund("alice", 10)
    lease = Lease(backend, "alice", size=5, ahead_seconds=None, low_water=0)
    lease.debit(1)
    gateway.faults = [answers(503, {"code": "unavailable"})] * 3
    lease.close()
    assert lease.close_if_empty()
    with pytest.raises(LeaseClosed):
        lease.debit(1)


def test_an_awaited_lease_that_was_closed_stays_closed_though_it_could_not_capture(
    gateway: Gateway, async_backend: AsyncMeter
) -> None:
    """As the blocking one."""
    gateway.fund("alice", 10)

    async def story() -> None:
        lease = AsyncLease(async_backend, "alice", size=5, ahead_seconds=None, low_water=0)
        await lease.debit(1)
        gateway.faults = [answers(503, {"code": "unavailable"})] * 3
        await lease.aclose()
        assert lease.close_if_empty()
        with pytest.raises(LeaseClosed):
            await lease.debit(1)

    asyncio.run(story())


class Late(Keeper):
    """Comes only when the test says so."""

    def wake(self, lease: Any) -> None:
        """See Keeper."""


def test_a_keeper_that_comes_after_the_closing_fetches_nothing(
    gateway: Gateway, backend: Meter
) -> None:
    """The customer's units would be held without use until that hold expired."""
    gateway.fund("alice", 100)
    lease = Lease(
        backend, "alice", keeper=Late(1, time.monotonic), size=10, ahead_seconds=None, low_water=9
    )
    lease.debit(1)
    lease.debit(1)
    lease.close()
    lease.tend()
    assert (gateway.calls["holds"], gateway.quota().held, gateway.quota().used) == (1, 0, 2)


def test_a_keeper_that_comes_late_fetches_nothing_that_a_caller_has_fetched(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """Units were low when it was woken, and are no more."""
    gateway.fund("alice", 1000)
    terms: Any = {"size": 100, "ahead_seconds": None, "low_water": 20}
    with Lease(backend, "alice", keeper=Late(1, seconds), clock=seconds, **terms) as lease:
        lease.debit(85)
        lease.debit(1)
        lease.debit(50)
        assert lease.left == 64
        lease.tend()
        assert (gateway.calls["holds"], lease.left) == (2, 64)


def test_an_awaited_lease_that_was_closed_at_the_exit_serves_nothing(
    gateway: Gateway, async_backend: AsyncMeter
) -> None:
    """What it would serve then is never captured."""
    gateway.fund("alice", 10)
    lease = AsyncLease(async_backend, "alice", at_exit=False)
    lease.close_at_exit()
    with pytest.raises(LeaseClosed):
        asyncio.run(lease.debit())
    assert gateway.service_calls == 0
