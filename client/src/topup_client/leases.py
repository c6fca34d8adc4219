"""A lease for every customer that calls, with a few threads for all of them."""

import atexit
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self, Unpack

from topup_client import forks
from topup_client.errors import LeaseClosed
from topup_client.keeper import Keeper
from topup_client.lease import Lease
from topup_client.meter import Meter
from topup_client.terms import Clock, Options, Terms, clock

THREADS: Final = 4
SWEPT_FROM: Final = 1024
"""Leases that have nothing are let go when there are so many, and then whenever their number has
doubled."""


class Leases:
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
        self._leases: Final[dict[str, Lease]] = {}
        self._sweep_at = SWEPT_FROM
        self._closed = False
        self.after_fork()
        forks.register(self)
        atexit.register(self._close_at_exit)

    def after_fork(self) -> None:
        """The threads that held the lock are not here."""
        self._lock = threading.Lock()

    def debit(self, user_id: str, units: int = 1) -> None:
        """Spend ``units`` of this customer. Raises as ``Lease.debit`` does."""
        while True:
            lease = self._leases.get(user_id) or self._open(user_id)
            try:
                return lease.debit(units)
            except LeaseClosed:
                if self._closed:
                    raise
                self._drop(user_id, lease)  # swept between the two lines above

    def close(self) -> None:
        """Capture what was used and give the rest back, of all customers."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(Lease.close, self._end()))

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

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

    def _open(self, user_id: str) -> Lease:
        with self._lock:
            if self._closed:
                raise LeaseClosed("these leases are closed: nothing is spent from them any more")
            if len(self._leases) >= self._sweep_at:
                self._sweep()
            return self._leases.setdefault(
                user_id,
                Lease(self._meter, user_id, keeper=self._keeper, clock=self._clock, **self._terms),
            )

    def _sweep(self) -> None:
        for user_id, lease in list(self._leases.items()):
            if lease.close_if_empty():
                del self._leases[user_id]
        self._sweep_at = max(SWEPT_FROM, 2 * len(self._leases))

    def _drop(self, user_id: str, lease: Lease) -> None:
        with self._lock:
            if self._leases.get(user_id) is lease:
                del self._leases[user_id]
