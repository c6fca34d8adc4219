"""The service's debits and holds, one awaited HTTP call each. Errors are those of ``Meter``."""

import asyncio
from typing import TypeVar

import httpx

from topup_client import forks, wire
from topup_client.closing import AsyncClosing
from topup_client.errors import TopupError
from topup_client.meter import Meter
from topup_client.results import ClosedHold, Debit, Hold
from topup_client.service import TIMEOUT_SECONDS, TRIES, Service, Token, pause_seconds

T = TypeVar("T")


class AsyncMeter(AsyncClosing):
    """The calls of ``Meter``, awaited.

    Belongs to one event loop; the token callable is called in it and should return at once.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        tries: int = TRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Nothing is sent yet."""
        self._service = Service(base_url, token, timeout_seconds, tries)
        self._transport = transport
        self._http = httpx.AsyncClient(transport=transport)
        forks.register(self)

    async def debit(
        self,
        user_id: str,
        units: int = 1,
        idempotency_key: str | None = None,
        *,
        key_id: str | None = None,
    ) -> Debit:
        """Take ``units``. See ``Meter.debit``."""
        return await self._send(wire.debit(user_id, units, idempotency_key, key_id))

    async def hold(
        self,
        user_id: str,
        units: int,
        expires_in_seconds: int,
        *,
        at_least: int | None = None,
        key_id: str | None = None,
    ) -> Hold:
        """Set ``units`` aside for 1 to 86 400 seconds. See ``Meter.hold``."""
        return await self._send(wire.hold(user_id, units, expires_in_seconds, at_least, key_id))

    async def capture(self, hold_id: str, units: int) -> ClosedHold:
        """Take 1 to all units of the hold for good, and give the rest back.

        Raise ``HoldClosed`` when it is past its time.
        """
        return await self._send(wire.capture(hold_id, units))

    async def release(self, hold_id: str) -> ClosedHold:
        """Give all of the hold back."""
        return await self._send(wire.release(hold_id))

    def blocking(self) -> Meter:
        """Return a blocking meter for the same service, for use after the event loop has ended."""
        told = self._service
        return Meter(
            told.base_url, told.token, timeout_seconds=told.timeout_seconds, tries=told.tries
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def after_fork(self) -> None:
        """The parent's connections stay the parent's."""
        self._http = httpx.AsyncClient(transport=self._transport)

    async def _send(self, call: wire.Call[T]) -> T:
        attempt = 0
        while True:
            try:
                return await self._once(call)
            except TopupError as error:
                if self._service.gives_up(call, error, attempt):
                    raise
            await asyncio.sleep(pause_seconds(attempt))
            attempt += 1

    async def _once(self, call: wire.Call[T]) -> T:
        request = self._service.request(call)
        try:
            response = await self._http.send(request)
        except httpx.RequestError as error:
            raise wire.failed(error) from error
        return call.read(response)
