"""Errors that are no answer of the service's reach the seller: nothing takes them for an outage."""

import asyncio
from typing import NoReturn

import httpx
import pytest
from client.conftest import Seconds
from client.gateway import Gateway
from topup_client import Lease, Meter, QuotaMiddleware


def _internal_error(_: object) -> NoReturn:
    raise KeyError("a fault of the transport's")


class BrokenSpender:
    """A spender of the seller's own, with a fault."""

    async def debit(self, user_id: str, units: int = 1, *, key_id: str | None = None) -> None:
        """Fail."""
        del key_id
        raise KeyError(f"{user_id} {units}")

    async def aclose(self) -> None:
        """Nothing is open."""


async def _never_served(*_: object) -> None:
    pytest.fail("the call was served")


def test_an_internal_error_of_a_spender_is_not_answered_as_an_outage() -> None:
    """The server's own handling of errors sees it, and the application does not."""
    app = QuotaMiddleware(_never_served, BrokenSpender(), lambda _: "alice")

    async def call() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport) as http:
            await http.get("https://api.example.com/")

    with pytest.raises(KeyError, match="alice 1"):
        asyncio.run(call())


def test_an_internal_error_at_a_capture_is_raised_by_close(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """A lease that is closed again captures what was used.

    Its size is fixed, so that units are left and its keeper does not capture first.
    """
    gateway.fund("alice", 10)
    lease = Lease(backend, "alice", size=10, ahead_seconds=None, clock=seconds)
    lease.debit(3)
    gateway.faults = [_internal_error]
    with pytest.raises(KeyError, match="a fault of the transport's"):
        lease.close()
    lease.close()
    assert gateway.quota().used == 3
