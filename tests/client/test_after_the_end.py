"""What a lease leaves behind that was closed, and what it spares the service while it is open."""

import asyncio
import gc
import time
import weakref
from typing import Any

import pytest
from client.conftest import Seconds
from client.gateway import Gateway
from topup_client import AsyncLease, AsyncLeases, AsyncMeter, Lease, Leases, Meter
from topup_client.errors import QuotaExhausted, Refused
from topup_client.keeper import Keeper
from topup_client.purse import Purse
from topup_client.results import Hold
from topup_client.terms import Terms


def _is_forgotten(one: "weakref.ref[Any]") -> bool:
    """Whether nothing holds it any more, once the keeper's thread has had time to end."""
    for _ in range(300):
        gc.collect()
        if one() is None:
            return True
        time.sleep(0.01)
    return False


def test_a_lease_that_was_closed_is_forgotten(gateway: Gateway, backend: Meter) -> None:
    """A process that opens one for each customer and closes it does not grow."""
    gateway.fund("alice", 10)
    lease = Lease(backend, "alice", size=5, low_water=0)
    lease.debit(1)
    lease.close()
    gone = weakref.ref(lease)
    del lease
    assert _is_forgotten(gone)


def test_leases_that_were_closed_are_forgotten(gateway: Gateway, backend: Meter) -> None:
    """All of them."""
    gateway.fund("alice", 10)
    leases = Leases(backend, size=5, low_water=0)
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
            made = AsyncLease(async_backend, "alice", size=5, low_water=0)
            await made.debit(1)
        else:
            made = AsyncLeases(async_backend, size=5, low_water=0)
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


def test_a_debit_from_memory_wakes_nobody_until_units_are_low(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """The fetch wakes the keeper once, and the first debit below the mark once more."""
    gateway.fund("alice", 10)
    keeper = Counting(1, seconds)
    lease = Lease(backend, "alice", keeper=keeper, clock=seconds, size=10, low_water=3)
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
def test_after_a_refusal_nobody_asks_ahead_of_need_for_a_while(
    refusal_seconds: float, quiet: int
) -> None:
    """A quarter of a hold's life, or as long as the refusal is remembered if that is longer."""
    terms = Terms(
        size=100, low_water=50, lifetime_seconds=60, margin_seconds=5,
        refusal_seconds=refusal_seconds,
    )  # fmt: skip
    purse = Purse(terms)
    purse.add(Hold("hold_1", 100, 0, None), 1000.0)  # type: ignore[arg-type]
    assert purse.spend(60, 1000.0)
    assert purse.is_low(1000.0)
    purse.refused(QuotaExhausted(0, "https://shop.example.com"), 1001.0)
    assert not purse.is_low(1001.0 + quiet - 0.1)
    assert purse.is_low(1001.0 + quiet)


def test_a_refusal_of_the_service_says_all_of_it() -> None:
    """What stands in a log must be enough to act on."""
    error = Refused(400, "exceeds_hold", "the hold is of 5 units")
    assert str(error) == "400 exceeds_hold: the hold is of 5 units"
    assert str(Refused(403, "", "Forbidden")) == "403 refused: Forbidden"
