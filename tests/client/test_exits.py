"""What a process with units of a customer leaves behind when it ends, or forks, without a word to
its leases.
"""

import asyncio
import atexit
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from client.gateway import TOKEN, Gateway, answers
from support import laws
from topup_client import AsyncLease, AsyncLeases, AsyncMeter, Lease, Leases, Meter


def _in_a_child(story: Callable[[], object]) -> int:
    """Run a story in a forked process that ends as an interpreter does. Return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        atexit._clear()
        story()
        atexit._run_exitfuncs()
        code = 0
    finally:
        os._exit(code)


def _lease(url: str) -> None:
    Lease(Meter(url, TOKEN), "alice", size=60, ahead_seconds=None, low_water=0).debit(10)


def _leases(url: str) -> None:
    Leases(Meter(url, TOKEN), size=60, ahead_seconds=None, low_water=0).debit("alice", 10)


def _async_lease(url: str) -> None:
    asyncio.run(
        AsyncLease(AsyncMeter(url, TOKEN), "alice", size=60, ahead_seconds=None, low_water=0).debit(
            10
        )
    )


def _async_leases(url: str) -> None:
    asyncio.run(
        AsyncLeases(AsyncMeter(url, TOKEN), size=60, ahead_seconds=None, low_water=0).debit(
            "alice", 10
        )
    )


ALL = [_lease, _leases, _async_lease, _async_leases]


@pytest.mark.parametrize("spend", ALL)
def test_a_process_that_ends_without_closing_captures_what_it_served(
    gateway: Gateway, url: str, spend: Callable[[str], None], tmp_path: Path
) -> None:
    """The seller is paid for ten units, and the customer has the other fifty back at once.

    There is nothing to complain of.
    """
    gateway.fund("alice", 100)

    def child() -> None:
        logging.basicConfig(filename=tmp_path / "log", force=True)
        spend(url)

    assert _in_a_child(child) == 0
    assert (tmp_path / "log").read_text() == ""
    balance = gateway.quota()
    assert (balance.used, balance.held, balance.remaining) == (10, 0, 90)
    laws.check(gateway.books.store)


@pytest.mark.parametrize("spend", ALL)
def test_a_process_that_ends_while_the_service_is_away_says_what_stays_open(
    gateway: Gateway, url: str, spend: Callable[[str], None], tmp_path: Path
) -> None:
    """Nothing is captured, and the log names the units that the seller bears."""
    gateway.fund("alice", 100)
    gateway.faults = [None, *[answers(503, {"code": "unavailable"})] * 3]

    def child() -> None:
        logging.basicConfig(filename=tmp_path / "log", force=True)
        spend(url)

    assert _in_a_child(child) == 0
    assert re.search("hold_[^ ]+ stays open with 10 units used", (tmp_path / "log").read_text())
    assert gateway.quota().held == 60


def test_an_awaited_lease_that_spent_nothing_asks_nothing_at_the_exit(
    gateway: Gateway, url: str
) -> None:

    def child() -> None:
        AsyncLease(AsyncMeter(url, TOKEN), "alice")

    assert _in_a_child(child) == 0
    assert gateway.service_calls == 0


def test_a_forked_child_has_units_and_connections_of_its_own(gateway: Gateway, url: str) -> None:
    """What its parent held stays the parent's: the child fetches, spends and captures a hold of its
    own.
    """
    gateway.fund("alice", 200)
    with (
        Meter(url, TOKEN) as meter,
        Lease(meter, "alice", size=50, ahead_seconds=None, low_water=0) as lease,
    ):
        lease.debit(10)

        def child() -> None:
            assert lease.left == 0
            lease.debit(5)
            assert lease.left == 45
            lease.close()

        assert _in_a_child(child) == 0
        assert lease.left == 40
        balance = gateway.quota()
        assert (balance.used, balance.held, balance.remaining) == (5, 50, 145)
    balance = gateway.quota()
    assert (balance.used, balance.held, balance.remaining) == (15, 0, 185)


def test_a_forked_childs_awaited_meter_works_in_a_loop_of_its_own(
    gateway: Gateway, url: str
) -> None:
    """Its parent's connections belong to its parent's loop."""
    gateway.fund("alice", 200)
    meter = AsyncMeter(url, TOKEN)
    lease = AsyncLease(meter, "alice", at_exit=False, size=50, ahead_seconds=None, low_water=0)

    def child() -> None:
        async def story() -> None:
            await meter.debit("alice", 7)
            await lease.debit(5)
            assert lease.left == 45
            await lease.aclose()

        asyncio.run(story())

    async def parent() -> None:
        await meter.debit("alice", 1)
        await lease.debit(1)

    asyncio.run(parent())
    assert _in_a_child(child) == 0
    balance = gateway.quota()
    assert (balance.used, balance.held) == (13, 50)
