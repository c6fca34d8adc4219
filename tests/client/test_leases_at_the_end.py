"""Leases that were closed: what is left of them, and what of those that took their place."""

import asyncio
import threading
from typing import Any

from client.conftest import Seconds
from client.gateway import Gateway
from topup_client import AsyncLeases, AsyncMeter, Leases, Meter

JOIN_SECONDS = 30


class Stale(dict[Any, Any]):
    """The next look finds what stood there a moment ago."""

    def __init__(self, now: Any, before: Any) -> None:
        """``now`` is what stands there."""
        super().__init__(now)
        self.before = [before]

    def get(self, holder: Any, default: Any = None) -> Any:
        """See dict."""
        return self.before.pop() if self.before else super().get(holder, default)


def test_a_lease_that_took_the_place_of_a_closed_one_is_kept(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """A call that had found the old one goes on with it: its units would never be captured."""
    gateway.fund("alice", 100)
    with Leases(backend, clock=seconds, size=10, ahead_seconds=None, low_water=0) as leases:
        leases.debit("alice")
        old = leases._leases.pop(("alice", None))
        old.close()
        leases.debit("alice", 2)
        leases._leases = Stale(leases._leases, old)  # type: ignore[misc] # as after a race
        leases.debit("alice", 3)
        assert gateway.calls["holds"] == 2
    assert (gateway.quota().used, gateway.quota().held) == (6, 0)


def test_an_awaited_lease_that_took_the_place_of_a_closed_one_is_kept(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds
) -> None:
    gateway.fund("alice", 100)
    terms: Any = {"size": 10, "ahead_seconds": None, "low_water": 0}

    async def story() -> None:
        async with AsyncLeases(async_backend, clock=seconds, **terms) as leases:
            await leases.debit("alice")
            old = leases._leases.pop(("alice", None))
            await old.aclose()
            await leases.debit("alice", 2)
            leases._leases = Stale(leases._leases, old)  # type: ignore[misc] # as after a race
            await leases.debit("alice", 3)
            assert gateway.calls["holds"] == 2

    asyncio.run(story())
    assert (gateway.quota().used, gateway.quota().held) == (6, 0)


def test_closed_leases_leave_no_thread(gateway: Gateway, backend: Meter) -> None:
    """A process that opens and closes them again and again does not grow."""
    gateway.fund("alice", 100)
    before = set(threading.enumerate())
    with Leases(backend, size=10, ahead_seconds=None, low_water=9) as leases:
        leases.debit("alice", 2)
        leases.debit("alice", 2)
        started = [
            thread for thread in threading.enumerate() if thread.name.startswith("topup-keeper")
        ]
        own = [thread for thread in started if thread not in before]
        assert own
    for thread in own:
        thread.join(JOIN_SECONDS)
    assert not any(thread.is_alive() for thread in own)
