"""How many debits a second a lease does in one process: ``PYTHONPATH=functions:client/src:tests:. python -m client.throughput``.

The service is the product's own handlers in this process, so what is measured is the client, and the calls that it makes are counted.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import builders
from billing import runtime
from billing.telemetry import logger
from billing.times import utc_now
from client.gateway import TOKEN, URL, AsyncGateway, Gateway
from functional.lab import REGION
from functional.template import Template
from memory_store import MemoryStore
from topup_client import AsyncLease, AsyncMeter, Lease, Leases, Meter

DEBITS: Final = 1_000_000
THREADS: Final = 4


def main() -> None:
    """Print a line for each way to spend."""
    template = Template(builders.STACK, REGION, Stage="local")
    os.environ.update({"POWERTOOLS_METRICS_DISABLED": "true", **template.environment()})
    logger.setLevel("ERROR")
    for name, act in {"Lease": _lease, f"Lease, {THREADS} threads": _threads, "Leases": _leases, "AsyncLease": _async_lease}.items():
        gateway = Gateway(template, builders.books_on(MemoryStore(), clock=utc_now))  # type: ignore[arg-type]
        runtime.books = lambda found=gateway.books: found  # type: ignore[assignment]
        gateway.fund("alice", DEBITS)
        seconds = _timed(act, gateway)
        sys.stdout.write(
            f"{name:20} {DEBITS / seconds:10,.0f} debits/s   {gateway.service_calls:5} calls   used {gateway.quota().used:,}\n"
        )


def _timed(act: Callable[[Gateway], None], gateway: Gateway) -> float:
    started = time.perf_counter()
    act(gateway)
    return time.perf_counter() - started


def _lease(gateway: Gateway) -> None:
    with Lease(Meter(URL, TOKEN, transport=gateway), "alice") as lease:
        for _ in range(DEBITS):
            lease.debit()


def _threads(gateway: Gateway) -> None:
    def spend(lease: Lease) -> None:
        for _ in range(DEBITS // THREADS):
            lease.debit()

    with Lease(Meter(URL, TOKEN, transport=gateway), "alice") as lease, ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(spend, [lease] * THREADS))


def _leases(gateway: Gateway) -> None:
    with Leases(Meter(URL, TOKEN, transport=gateway)) as leases:
        for _ in range(DEBITS):
            leases.debit("alice")


def _async_lease(gateway: Gateway) -> None:
    async def spend() -> None:
        async with AsyncLease(AsyncMeter(URL, TOKEN, transport=AsyncGateway(gateway)), "alice") as lease:
            for number in range(DEBITS):
                await lease.debit()
                if not number % 100:
                    await asyncio.sleep(0)  # as a server does between calls

    asyncio.run(spend())


if __name__ == "__main__":
    main()
