"""An ``AsyncLease`` for every customer that calls."""

import asyncio
import atexit
from typing import Final, Unpack

from topup_client.aio import AsyncLease
from topup_client.aio_meter import AsyncMeter
from topup_client.closing import AsyncClosing
from topup_client.errors import LeaseClosed
from topup_client.leases import SWEPT_FROM, Holder
from topup_client.terms import Clock, Options, Terms, clock

CLOSED_AT_ONCE: Final = 8


class AsyncLeases(AsyncClosing):
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
        self._leases: Final[dict[Holder, AsyncLease]] = {}
        self._sweep_at = SWEPT_FROM
        self._closed = False
        atexit.register(self._close_at_exit)

    async def debit(self, user_id: str, units: int = 1, *, key_id: str | None = None) -> None:
        """Spend ``units`` of this customer, for the key if one is named.

        Raises as ``AsyncLease.debit`` does.
        """
        holder = (user_id, key_id)
        while True:
            lease = self._leases.get(holder) or self._open(holder)
            try:
                return await lease.debit(units)
            except LeaseClosed:
                if self._closed:
                    raise
                if self._leases.get(holder) is lease:
                    del self._leases[holder]  # swept while this call waited

    async def aclose(self) -> None:
        """Capture what was used and give the rest back, of all customers."""
        self._closed = True
        atexit.unregister(self._close_at_exit)
        turn = asyncio.Semaphore(CLOSED_AT_ONCE)

        async def close(lease: AsyncLease) -> None:
            async with turn:
                await lease.aclose()

        await asyncio.gather(*(close(lease) for lease in self._leases.values()))

    def _close_at_exit(self) -> None:
        for lease in self._leases.values():
            lease.close_at_exit()

    def _open(self, holder: Holder) -> AsyncLease:
        if self._closed:
            raise LeaseClosed("these leases are closed: nothing is spent from them any more")
        if len(self._leases) >= self._sweep_at:
            for name, lease in list(self._leases.items()):
                if lease.close_if_empty():
                    del self._leases[name]
            self._sweep_at = max(SWEPT_FROM, 2 * len(self._leases))
        made = self._leases[holder] = AsyncLease(
            self._meter, *holder, clock=self._clock, at_exit=False, **self._terms
        )
        return made
