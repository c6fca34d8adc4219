"""Spends held units in memory: one call for a thousand debits, and never more than was sold."""

import atexit
import threading
from typing import Final, Unpack

from topup_client import forks
from topup_client.closing import Closing
from topup_client.errors import LeaseClosed, TopupError, Unavailable
from topup_client.keeper import Keeper
from topup_client.locks import take
from topup_client.meter import Meter
from topup_client.purse import Purse
from topup_client.terms import Clock, Options, Terms, clock
from topup_client.tranche import Tally, Tranche, close_hold

FETCHES_MAX: Final = 10
"""How many fetches a debit waits for, while concurrent debits spend their units."""


class Lease(Closing):
    """One customer's units for this process. Thread-safe.

    It places a hold, spends it in memory, and captures what was used.

    A hold is set aside at the service before any of it is spent, so several processes together
    never spend more than was sold.
    **The seller bears what a killed process had served**: its hold expires, and all of its
    units go back to the customer, also those of calls already served. That is at most ``size``
    units for each process killed (twice that while the next hold is fetched ahead).

    Closing captures what was used and gives the rest back: ``with Lease(...)``, ``close()``, or the
    interpreter's exit, which a signal without a handler does not reach. A process that forks keeps
    its units; the child begins with none and fetches its own.
    """

    def __init__(
        self,
        meter: Meter,
        user_id: str,
        key_id: str | None = None,
        *,
        keeper: Keeper | None = None,
        clock: Clock = clock,
        **terms: Unpack[Options],
    ) -> None:
        """Nothing is fetched yet. ``terms`` are the members of ``Terms``."""
        self._meter: Final = meter
        self._user_id: Final = user_id
        self._key_id: Final = key_id
        self._clock: Final = clock
        self._purse: Final = Purse(Terms(**terms))
        self._owns_keeper: Final = keeper is None
        self._keeper: Final = keeper or Keeper(1, clock)
        self._closed = False
        self.after_fork()
        forks.register(self)
        if self._owns_keeper:
            atexit.register(self.close)

    def after_fork(self) -> None:
        """What was fetched is the parent's, and so are the threads that hold the locks."""
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._woken = False
        self._purse.forget()

    @property
    def left(self) -> int:
        """Units that can be spent without asking the service."""
        with self._lock:
            self._purse.retire(self._clock())
            return self._purse.left

    @property
    def tally(self) -> Tally:
        """Units spent, captured, released, lost, until now."""
        with self._lock:
            return self._purse.tally.copy()

    def debit(self, units: int = 1) -> None:
        """Spend ``units``, from memory where they are there.

        Raise ``QuotaExhausted`` or ``KeyLimitReached``; ``InvalidKey``, ``Unavailable`` or
        ``OutcomeUnknown`` (the fetch failed); or ``LeaseClosed``.
        """
        if type(units) is not int or units < 1:
            raise ValueError(f"units must be a whole number, 1 or more, not {units!r}")
        take(self._lock)
        try:
            spent = self._spent(units)
            wakes = spent and not self._woken and self._purse.is_low(self._clock())
            self._woken = self._woken or wakes
        finally:
            self._lock.release()
        if not spent:
            self._debit_asking(units)
        elif wakes:
            self._keeper.wake(self)

    def close(self) -> None:
        """Capture what was used and give the rest back.

        What cannot be captured is logged, and expires by itself.
        """
        with self._lock:
            self._closed = True
        if self._owns_keeper:
            self._keeper.stop()
            atexit.unregister(self.close)
        with self._asking:
            with self._lock:
                self._purse.retire_all()
                unclosed = self._purse.to_close
            for tranche in unclosed:
                self._close(tranche)
            with self._lock:
                self._purse.report_unclosed()

    def close_if_empty(self) -> bool:
        """Close a lease that has nothing to spend or to capture, and that nobody is waiting for."""
        with self._lock:
            self._closed = self._closed or (
                self._purse.next_due() is None and not self._asking.locked()
            )
            return self._closed

    def tend(self) -> float | None:
        """Called by the keeper: capture, fetch ahead, give back.

        Returns when there will be something to do, None for never.
        """
        with self._asking:
            with self._lock:
                wants, self._woken = self._woken and not self._closed, False
                self._purse.retire(self._clock())
            self._close_due(with_rest=True)
            with self._lock:
                wants = wants and self._purse.is_low(self._clock())
            if wants:
                self._fetch(0)
            self._close_due(with_rest=False)
            with self._lock:
                return self._purse.next_due()

    def _spent(self, units: int) -> bool:
        """Called with the lock."""
        if self._closed:
            raise LeaseClosed("this lease is closed: nothing is spent from it any more")
        return self._purse.spend(units, self._clock())

    def _debit_asking(self, units: int) -> None:
        """One caller at a time asks the service; the others find what it brought."""
        with self._asking:
            for _ in range(FETCHES_MAX):
                with self._lock:
                    if self._spent(units):
                        return
                    self._purse.complain(self._clock())
                self._close_due(with_rest=True)  # what comes back may be all that there is
                self._fetch(units)
                self._keeper.wake(self)
        raise Unavailable(f"others spent what came, {FETCHES_MAX} times; nothing was taken")

    def _fetch(self, units: int) -> None:
        """Place a hold, of what remains if that is less. What comes of it is in the purse."""
        with self._lock:
            sent = self._clock()
            ask = self._purse.ask(units, sent)
        try:
            hold = self._meter.hold(
                self._user_id,
                ask.units,
                self._purse.terms.lifetime_seconds,
                at_least=ask.at_least,
                key_id=self._key_id,
            )
        except TopupError as error:
            with self._lock:
                self._purse.fetch_failed(error, self._clock())
        else:
            with self._lock:
                self._purse.add(hold, ask.units, sent)

    def _close_due(self, *, with_rest: bool) -> None:
        with self._lock:
            due = self._purse.closable(self._clock(), with_rest=with_rest)
        for tranche in due:
            self._close(tranche)

    def _close(self, tranche: Tranche) -> None:
        ended = close_hold(self._meter, tranche)
        with self._lock:
            self._purse.closing_ended(tranche, ended, self._clock())
