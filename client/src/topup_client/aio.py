"""A lease for one event loop: the same arithmetic as ``Lease``, awaited.

No locks on the way of a call, no threads at all.
"""

import asyncio
import atexit
from typing import Final, Unpack

from topup_client import forks
from topup_client.aio_meter import AsyncMeter
from topup_client.closing import AsyncClosing
from topup_client.errors import LeaseClosed, TopupError, Unavailable
from topup_client.lease import FETCHES_MAX
from topup_client.purse import Purse
from topup_client.terms import Clock, Options, Terms, clock
from topup_client.tranche import Tally, Tranche, close_hold


class AsyncLease(AsyncClosing):
    """One customer's units for this process, for one event loop. It promises what ``Lease`` does.

    ``aclose()`` or ``async with`` captures what was used; where neither ran, the interpreter's exit
    does, with blocking calls.
    """

    def __init__(
        self,
        meter: AsyncMeter,
        user_id: str,
        key_id: str | None = None,
        *,
        clock: Clock = clock,
        at_exit: bool = True,
        **terms: Unpack[Options],
    ) -> None:
        """Nothing is fetched yet. ``at_exit``: close at the interpreter's exit if it is open."""
        self._meter: Final = meter
        self._user_id: Final = user_id
        self._key_id: Final = key_id
        self._clock: Final = clock
        self._purse: Final = Purse(Terms(**terms))
        self._closed = False
        self.after_fork()
        forks.register(self)
        if at_exit:
            atexit.register(self.close_at_exit)

    def after_fork(self) -> None:
        """What was fetched is the parent's, and so are its loop's tasks."""
        self._asking = asyncio.Lock()
        self._wake = asyncio.Event()
        self._wants = False
        self._keeping: asyncio.Task[None] | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._purse.forget()

    @property
    def left(self) -> int:
        """Units that can be spent without asking the service."""
        self._purse.retire(self._clock())
        return self._purse.left

    @property
    def tally(self) -> Tally:
        """Units spent, captured, released, lost, until now."""
        return self._purse.tally.copy()

    async def debit(self, units: int = 1) -> None:
        """Spend ``units``, from memory where they are there. Raises as ``Lease.debit`` does."""
        if type(units) is not int or units < 1:
            raise ValueError(f"units must be a whole number, 1 or more, not {units!r}")
        if not self._spent(units):
            await self._debit_asking(units)
        elif not self._wants and self._purse.is_low(self._clock()):
            self._wants = True
            self._keep()

    async def aclose(self) -> None:
        """Capture what was used and give the rest back.

        What cannot be captured is logged, and expires by itself.
        """
        self._closed = True
        atexit.unregister(self.close_at_exit)
        if self._keeping:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        async with self._asking:
            if self._fetching:
                await self._fetching
            self._purse.retire_all()
            for tranche in self._purse.to_close:
                await self._close(tranche)
            self._purse.report_unclosed()

    def close_at_exit(self) -> None:
        """The loop is gone: close with blocking calls."""
        self._closed = True
        self._purse.retire_all()
        if not self._purse.to_close:
            return
        with self._meter.blocking() as meter:
            for tranche in self._purse.to_close:
                self._purse.closing_ended(tranche, close_hold(meter, tranche), self._clock())
        self._purse.report_unclosed()

    def close_if_empty(self) -> bool:
        """Close a lease that has nothing to spend or to capture, and that nobody is waiting for."""
        self._closed = self._closed or (
            self._purse.next_due() is None and not self._asking.locked()
        )
        return self._closed

    async def tend(self) -> float | None:
        """Capture, fetch ahead, give back.

        Returns when there will be something to do, None for never.
        """
        async with self._asking:
            wants, self._wants = self._wants and not self._closed, False
            self._wake.clear()
            self._purse.retire(self._clock())
            await self._close_due(with_rest=True)
            if wants and self._purse.is_low(self._clock()):
                await self._fetch_shielded(0)
            await self._close_due(with_rest=False)
            return self._purse.next_due()

    def _spent(self, units: int) -> bool:
        if self._closed:
            raise LeaseClosed("this lease is closed: nothing is spent from it any more")
        return self._purse.spend(units, self._clock())

    async def _debit_asking(self, units: int) -> None:
        """One caller at a time asks the service; the others find what it brought."""
        async with self._asking:
            for _ in range(FETCHES_MAX):
                if self._spent(units):
                    return
                self._purse.complain(self._clock())
                await self._close_due(with_rest=True)  # what comes back may be all that there is
                await self._fetch_shielded(units)
                self._keep()
        raise Unavailable(f"others spent what came, {FETCHES_MAX} times; nothing was taken")

    def _keep(self) -> None:
        """Wake the task that looks after this lease. It runs while there is something to do."""
        self._wake.set()
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._kept(), name=f"topup-lease-{self._user_id}")

    async def _kept(self) -> None:
        while (due := await self.tend()) is not None or self._wake.is_set():
            seconds = 0 if due is None else max(0, due - self._clock())
            try:
                await asyncio.wait_for(self._wake.wait(), seconds)
            except TimeoutError:
                continue

    async def _fetch_shielded(self, units: int) -> None:
        """A caller that goes away does not take the hold along: who comes next finds its units."""
        if self._fetching is None or self._fetching.done():
            self._fetching = asyncio.create_task(
                self._fetch(units), name=f"topup-fetch-{self._user_id}"
            )
        await asyncio.shield(self._fetching)

    async def _fetch(self, units: int) -> None:
        """Place a hold, of what remains if that is less. What comes of it is in the purse."""
        sent = self._clock()
        ask = self._purse.ask(units, sent)
        try:
            hold = await self._meter.hold(
                self._user_id,
                ask.units,
                self._purse.terms.lifetime_seconds,
                at_least=ask.at_least,
                key_id=self._key_id,
            )
        except TopupError as error:
            self._purse.fetch_failed(error, self._clock())
        else:
            self._purse.add(hold, ask.units, sent)

    async def _close_due(self, *, with_rest: bool) -> None:
        for tranche in self._purse.closable(self._clock(), with_rest=with_rest):
            await self._close(tranche)

    async def _close(self, tranche: Tranche) -> None:
        ended: TopupError | None = None
        try:
            if tranche.used:
                await self._meter.capture(tranche.hold_id, tranche.used)
            else:
                await self._meter.release(tranche.hold_id)
        except TopupError as error:
            ended = error
        self._purse.closing_ended(tranche, ended, self._clock())
