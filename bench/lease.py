"""Lease mode: a million units of one account spent in memory by one process.

How many a second, and with how many calls; and a small account that several workers share.

The service is the product's own handlers in this process, so what is measured is the client, and
the calls that it makes are counted.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Final

from billing.clock import utc_now
from client.conftest import Seconds
from client.gateway import TOKEN, URL, AsyncGateway, Gateway
from client.workers import Crowd, evenly
from support import builders
from support.fakes.memory_store import MemoryStore
from topup_client import AsyncLease, AsyncMeter, Lease, Leases, Meter
from topup_client.terms import Terms

from bench.quiet import quiet
from bench.rows import Row
from bench.shop import serving
from bench.subjects import ENVIRONMENT, TEMPLATE

DEBITS: Final = 1_000_000
THREADS: Final = 4
GOAL_A_SECOND: Final = 200_000
UNITS_A_CALL: Final = 1_000
WORKERS: Final = 4
CALLS_A_SECOND: Final = 0.5
SMALL: Final = 100
"""Units of an account that several workers share: none of them may keep what another is asked for.
"""
SIZE: Final = Terms().size
"""Units a lease, as who says nothing gets them: one call to take it, one to capture what was spent.
"""


def rows() -> Iterator[Row]:
    """For each way to spend: debits a second, calls, and units that were oversold."""
    with quiet(ENVIRONMENT):
        for name, act in WAYS.items():
            gateway = _gateway(utc_now, DEBITS)
            with serving(gateway.books):
                began = time.perf_counter()
                act(gateway)
                took = time.perf_counter() - began
            yield from _told(f"{name} of {SIZE:,} units", gateway, took)
        yield from _sharing()


def _gateway(clock: Callable[[], datetime], units: int) -> Gateway:
    """The service in this process, with these units for alice."""
    store = MemoryStore()
    gateway = Gateway(TEMPLATE, builders.books_on(store, clock=clock))  # type: ignore[arg-type]
    gateway.fund("alice", units)
    return gateway


def _sharing() -> Iterator[Row]:
    """Several slow workers on a small account. Their clock is moved by hand."""
    clock = builders.Clock()
    gateway = _gateway(clock, SMALL)
    crowd = Crowd(Meter(URL, TOKEN, transport=gateway), Seconds(clock), clock, WORKERS)
    with serving(gateway.books):
        served = crowd.served(evenly(WORKERS, CALLS_A_SECOND))
        crowd.close()
    what = f"{WORKERS} leases of one account, half a call a second each: served before a refusal"
    yield Row("lease", what, served, f"of {SMALL}", SMALL, "at least")
    what = f"{WORKERS} leases of one account, half a call a second each: calls of the service"
    yield Row("lease", what, gateway.service_calls, "calls")


def _told(name: str, gateway: Gateway, took: float) -> Iterator[Row]:
    yield Row("lease", f"{name}: debits", DEBITS / took, "a second", GOAL_A_SECOND, "at least")
    yield Row(
        "lease",
        f"{name}: units a call",
        DEBITS / gateway.service_calls,
        "units",
        UNITS_A_CALL,
        "at least",
    )
    yield Row(
        "lease",
        f"{name}: units used more or less than were spent",
        abs(gateway.quota().used - DEBITS),
        "units",
        0,
    )


def _lease(gateway: Gateway) -> None:
    with Lease(Meter(URL, TOKEN, transport=gateway), "alice") as lease:
        for _ in range(DEBITS):
            lease.debit()


def _threads(gateway: Gateway) -> None:
    def spend(lease: Lease) -> None:
        for _ in range(DEBITS // THREADS):
            lease.debit()

    with (
        Lease(Meter(URL, TOKEN, transport=gateway), "alice") as lease,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        list(pool.map(spend, [lease] * THREADS))


def _leases(gateway: Gateway) -> None:
    with Leases(Meter(URL, TOKEN, transport=gateway)) as leases:
        for _ in range(DEBITS):
            leases.debit("alice")


def _async_lease(gateway: Gateway) -> None:
    async def spend() -> None:
        async with AsyncLease(
            AsyncMeter(URL, TOKEN, transport=AsyncGateway(gateway)), "alice"
        ) as lease:
            for number in range(DEBITS):
                await lease.debit()
                if not number % 100:
                    await asyncio.sleep(0)  # as a server does between calls

    asyncio.run(spend())


WAYS: Final[Mapping[str, Callable[[Gateway], None]]] = {
    "Lease": _lease,
    f"Lease, {THREADS} threads": _threads,
    "Leases, by customer": _leases,
    "AsyncLease": _async_lease,
}
