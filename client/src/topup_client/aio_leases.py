"""An ``AsyncLease`` for every customer that calls."""

import asyncio
import atexit
from types import TracebackType
from typing import Final, Self, Unpack

from topup_client.aio import AsyncLease
from topup_client.errors import LeaseClosed
from topup_client.leases import SWEPT_FROM
from topup_client.meter import AsyncMeter
from topup_client.terms import Clock, Options, Terms, clock

CLOSED_AT_ONCE: Final = 8


class AsyncLeases:
    """A lease for every customer that calls.

    ``await debit(user_id, units)`` like a meter, out of memory like a lease.
    """

    def __init__(
        self, meter: AsyncMeter, *, clock: Clock = clock, **terms: Unpack[Options]
    ) -> None:
        """``terms`` are those of ``Terms``, for each customer."""
        Terms(**terms)
        self._meter: Final = meter
        self._terms: Final = terms
        self._clock: Final = clock
        self._leases: Final[dict[str, AsyncLease]] = {}
        self._sweep_at = SWEPT_FROM
        self._closed = False
        atexit.register(self._close_at_exit)

    async def debit(self, user_id: str, units: int = 1) -> None:
        """Spend ``units`` of this customer. Raises as ``AsyncLease.debit`` does."""
        while True:
            lease = self._leases.get(user_id) or self._open(user_id)
            try:
                return await lease.debit(units)
            except LeaseClosed:
                if self._closed:
                    raise
                if self._leases.get(user_id) is lease:
                    del self._leases[user_id]  # swept while this call waited

    async def aclose(self) -> None:
        """Capture what was used and give the rest back, of all customers."""
        self._closed = True
        atexit.unregister(self._close_at_exit)
        turn = asyncio.Semaphore(CLOSED_AT_ONCE)

        async def close(lease: AsyncLease) -> None:
            async with turn:
                await lease.aclose()

        await asyncio.gather(*(close(lease) for lease in self._leases.values()))

    async def __aenter__(self) -> Self:
        """Close at the end of the block."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.aclose()

    def _close_at_exit(self) -> None:
        for lease in self._leases.values():
            lease.close_at_exit()

    def _open(self, user_id: str) -> AsyncLease:
        if self._closed:
            raise LeaseClosed("these leases are closed: nothing is spent from them any more")
        if len(self._leases) >= self._sweep_at:
            for name, lease in list(self._leases.items()):
                if lease.close_if_empty():
                    del self._leases[name]
            self._sweep_at = max(SWEPT_FROM, 2 * len(self._leases))
        made = self._leases[user_id] = AsyncLease(
            self._meter, user_id, clock=self._clock, at_exit=False, **self._terms
        )
        return made
