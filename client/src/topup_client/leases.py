"""A lease for every customer that calls, with a few threads for all of them."""

import atexit
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Unpack

from topup_client import forks
from topup_client.closing import Closing
from topup_client.errors import LeaseClosed
from topup_client.keeper import Keeper
from topup_client.lease import Lease
from topup_client.meter import Meter
from topup_client.terms import Clock, Options, Terms, clock

Holder = tuple[str, str | None]
"""A customer, and the API key that spends, if one is named: each has a lease of its own."""
THREADS: Final = 4
SWEPT_FROM: Final = 1024
"""Leases that have nothing are let go when there are so many, and then whenever their number has
doubled."""


class Leases(Closing):
    """``debit(user_id, units)`` like a meter, out of memory like a lease.

    Safe between threads. See ``Lease`` for what it promises.
    """

    def __init__(self, meter: Meter, *, clock: Clock = clock, **terms: Unpack[Options]) -> None:
        """``terms`` are those of ``Terms``, for each customer."""
        Terms(**terms)
        self._meter: Final = meter
        self._terms: Final = terms
        self._clock: Final = clock
        self._keeper: Final = Keeper(THREADS, clock)
        self._leases: Final[dict[Holder, Lease]] = {}
        self._sweep_at = SWEPT_FROM
        self._closed = False
        self.after_fork()
        forks.register(self)
        atexit.register(self._close_at_exit)

    def after_fork(self) -> None:
        """The threads that held the lock are not here."""
        self._lock = threading.Lock()

    def debit(self, user_id: str, units: int = 1, *, key_id: str | None = None) -> None:
        """Spend ``units`` of this customer, for the key if one is named.

        Raises as ``Lease.debit`` does.
        """
        holder = (user_id, key_id)
        while True:
            lease = self._leases.get(holder) or self._open(holder)
            try:
                return lease.debit(units)
            except LeaseClosed:
                if self._closed:
                    raise
                self._drop(holder, lease)  # swept between the two lines above

    def close(self) -> None:
        """Capture what was used and give the rest back, of all customers."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(Lease.close, self._end()))

    def _close_at_exit(self) -> None:
        """One after the other: no thread can be started any more."""
        for lease in self._end():
            lease.close()

    def _end(self) -> Iterable[Lease]:
        with self._lock:
            self._closed = True
        self._keeper.stop()
        atexit.unregister(self._close_at_exit)
        return tuple(self._leases.values())

    def _open(self, holder: Holder) -> Lease:
        with self._lock:
            if self._closed:
                raise LeaseClosed("these leases are closed: nothing is spent from them any more")
            if len(self._leases) >= self._sweep_at:
                self._sweep()
            return self._leases.setdefault(
                holder,
                Lease(self._meter, *holder, keeper=self._keeper, clock=self._clock, **self._terms),
            )

    def _sweep(self) -> None:
        for holder, lease in list(self._leases.items()):
            if lease.close_if_empty():
                del self._leases[holder]
        self._sweep_at = max(SWEPT_FROM, 2 * len(self._leases))

    def _drop(self, holder: Holder, lease: Lease) -> None:
        with self._lock:
            if self._leases.get(holder) is lease:
                del self._leases[holder]
