import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx
import pytest
from client.conftest import Seconds
from client.gateway import TOKEN, URL, AsyncGateway, Fault, Gateway, lost_after, unreachable
from support import laws
from support.builders import Clock
from topup_client import (
    AsyncLease,
    AsyncLeases,
    AsyncMeter,
    LeaseClosed,
    OutcomeUnknown,
    QuotaExhausted,
    Unavailable,
)


def _run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


def _three(gateway: Gateway) -> tuple[int, int, int]:
    laws.check(gateway.books.store)
    balance = gateway.quota()
    return balance.used, balance.held, balance.remaining


def test_debits_are_spent_in_memory_and_captured_at_the_end(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds
) -> None:
    """One hold, one capture, the rest given back; then no more."""
    gateway.fund("alice", 1000)

    async def story() -> None:
        async with AsyncLease(
            async_backend, "alice", clock=seconds, size=100, ahead_seconds=None, low_water=0
        ) as lease:
            for _ in range(60):
                await lease.debit()
            assert (lease.left, _three(gateway)) == (40, (0, 100, 900))
        assert (lease.tally.captured, lease.tally.released) == (60, 40)
        with pytest.raises(LeaseClosed):
            await lease.debit()

    _run(story())
    assert _three(gateway) == (60, 0, 940)
    assert gateway.calls == {"holds": 1, "capture": 1}


def test_a_million_units_cost_fewer_than_a_thousand_calls(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds
) -> None:
    gateway.fund("alice", 1_000_000)

    async def story() -> None:
        async with AsyncLease(async_backend, "alice", clock=seconds) as lease:
            for number in range(100_000):
                await lease.debit(10)
                if not number % 50:
                    await asyncio.sleep(0)  # as a server does between calls

    _run(story())
    assert _three(gateway) == (1_000_000, 0, 0)
    assert gateway.service_calls <= 1000


@pytest.mark.parametrize("size", [1, 7, 100])
def test_many_concurrent_calls_never_oversell(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds, size: int
) -> None:
    """Two leases of one customer, a hundred calls each at the same time."""
    gateway.fund("alice", 150)
    served = 0

    async def call(lease: AsyncLease) -> None:
        nonlocal served
        try:
            await lease.debit()
        except QuotaExhausted:
            return
        served += 1

    async def story() -> None:
        terms: Any = {"clock": seconds, "size": size, "ahead_seconds": None}
        async with (
            AsyncLease(async_backend, "alice", **terms) as one,
            AsyncLease(async_backend, "alice", **terms) as two,
        ):
            await asyncio.gather(*(call(lease) for lease in [one, two] * 100))

    _run(story())
    assert _three(gateway) == (served, 0, 150 - served)
    assert 100 <= served <= 150


def test_a_caller_who_goes_away_leaves_the_hold_to_the_next(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds
) -> None:
    """Nothing is spent for the one, and nothing is fetched twice for the other."""
    gateway.fund("alice", 100)

    async def story() -> None:
        async with AsyncLease(
            async_backend, "alice", clock=seconds, size=100, ahead_seconds=None
        ) as lease:
            leaver = asyncio.create_task(lease.debit(5))
            for _ in range(100):
                if not gateway.calls["holds"]:
                    await asyncio.sleep(0)
            leaver.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaver
            await lease.debit(7)

    _run(story())
    assert _three(gateway) == (7, 0, 93)
    assert gateway.calls["holds"] == 1


def test_a_lease_that_is_closed_during_a_fetch_gives_back_what_comes_of_it(
    gateway: Gateway, seconds: Seconds
) -> None:
    """Its caller has gone away already, and the answer is still on its way."""
    gateway.fund("alice", 100)

    class Slow(AsyncGateway):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await super().handle_async_request(request)
            for _ in range(20):
                await asyncio.sleep(0)
            return answer

    async def story() -> None:
        meter = AsyncMeter(URL, TOKEN, transport=Slow(gateway))
        lease = AsyncLease(meter, "alice", clock=seconds, size=100, ahead_seconds=None)
        leaver = asyncio.create_task(lease.debit(5))
        for _ in range(100):
            if not gateway.calls["holds"]:
                await asyncio.sleep(0)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        await lease.aclose()
        await meter.aclose()

    _run(story())
    assert _three(gateway) == (0, 0, 100)
    assert gateway.calls["holds"] == 1


def test_a_hold_is_captured_before_it_expires(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds, clock: Clock
) -> None:
    gateway.fund("alice", 100)

    async def story() -> None:
        async with AsyncLease(
            async_backend, "alice", clock=seconds, size=100, ahead_seconds=None
        ) as lease:
            await lease.debit(30)
            clock.advance(seconds=49)
            assert lease.left == 0
            await lease.tend()
            assert _three(gateway) == (30, 0, 70)
            await lease.debit(70)
        assert lease.tally.lost == 0

    _run(story())
    assert _three(gateway) == (100, 0, 0)


@pytest.mark.parametrize(
    ("fault", "error"), [(lost_after, OutcomeUnknown), (unreachable, Unavailable)]
)
def test_without_an_answer_nothing_is_served(
    gateway: Gateway,
    async_backend: AsyncMeter,
    seconds: Seconds,
    fault: Fault,
    error: type[Exception],
) -> None:
    """It fails closed, and does not ask at every call."""
    gateway.fund("alice", 100)
    gateway.faults = [fault] * 3

    async def story() -> None:
        async with AsyncLease(async_backend, "alice", clock=seconds) as lease:
            for _ in range(20):
                with pytest.raises(error):
                    await lease.debit()

    _run(story())
    assert gateway.service_calls <= 3


def test_leases_serve_every_customer_and_close_together(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds
) -> None:
    users = [f"user{number}" for number in range(20)]
    for user in users:
        gateway.fund(user, 50)

    async def story() -> None:
        async with AsyncLeases(async_backend, clock=seconds, size=20, ahead_seconds=None) as leases:
            await asyncio.gather(*(leases.debit(user) for user in users * 40))
            with pytest.raises(QuotaExhausted):
                await leases.debit("user0", 11)
        with pytest.raises(LeaseClosed):
            await leases.debit("user0")

    _run(story())
    laws.check(gateway.books.store)
    assert {(gateway.quota(user).used, gateway.quota(user).held) for user in users} == {(40, 0)}


def test_customers_who_have_gone_are_forgotten(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds
) -> None:

    async def story() -> None:
        async with AsyncLeases(async_backend, clock=seconds) as leases:
            leases._sweep_at = 4
            for number in range(10):
                with pytest.raises(QuotaExhausted):
                    await leases.debit(f"stranger{number}")
            assert len(leases._leases) <= 7
            gateway.fund("stranger1", 3)
            await leases.debit("stranger1", 3)

    _run(story())
    assert gateway.quota("stranger1").used == 3


@pytest.mark.parametrize("units", [0, -1, True, 1.5])
def test_units_are_whole_and_positive(
    async_backend: AsyncMeter, seconds: Seconds, units: Any
) -> None:
    """Nothing else is ever added to the books."""

    async def story() -> None:
        with pytest.raises(ValueError, match="whole number"):
            await AsyncLease(async_backend, "alice", clock=seconds).debit(units)

    _run(story())
