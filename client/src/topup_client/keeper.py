"""Runs daemon threads that look after leases.

They fetch units ahead of need, capture what was spent, and release what is not used.
"""

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from math import inf
from typing import Final, Protocol

from topup_client import forks
from topup_client.terms import Clock

logger = logging.getLogger("topup_client")


class Tended(Protocol):
    """What a keeper looks after."""

    def tend(self) -> float | None:
        """Do what is due. Return when to be called again, None for not until woken."""


class Keeper:
    """Calls ``tend`` when it is due. Threads start when first needed, also in a forked child."""

    def __init__(self, threads: int, clock: Clock) -> None:
        """``threads``: how many leases may wait for the service at the same time."""
        self._threads: Final = threads
        self._clock: Final = clock
        self._numbers: Final = itertools.count()
        forks.register(self)
        self.after_fork()

    def after_fork(self) -> None:
        """No thread is there, and nothing is due."""
        self._changed = threading.Condition()
        self._due: dict[Tended, float] = {}
        self._queue: list[tuple[float, int, Tended]] = []
        self._running = 0
        self._stopped = False

    def wake(self, tended: Tended) -> None:
        """It is due now."""
        self.at(tended, -inf)

    def at(self, tended: Tended, when: float) -> None:
        """It is due at ``when``, unless it is before that."""
        with self._changed:
            if self._stopped or self._due.get(tended, inf) <= when:
                return
            self._due[tended] = when
            heapq.heappush(self._queue, (when, next(self._numbers), tended))
            if self._running < self._threads:
                self._running += 1
                threading.Thread(
                    target=self._run, name=f"topup-keeper-{self._running}", daemon=True
                ).start()
            self._changed.notify()

    def stop(self) -> None:
        """Threads end when they have done what they are at."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _run(self) -> None:
        while (tended := self._next()) is not None:
            again = _safely(tended.tend)
            if again is not None:
                self.at(tended, again)

    def _next(self) -> Tended | None:
        with self._changed:
            while not self._stopped:
                when, _, tended = self._queue[0] if self._queue else (inf, 0, None)
                if tended is not None and self._due.get(tended) != when:
                    heapq.heappop(self._queue)  # it was called earlier than this entry says
                elif tended is not None and when <= self._clock():
                    heapq.heappop(self._queue)
                    del self._due[tended]
                    return tended
                else:
                    self._changed.wait(None if when == inf else when - self._clock())
            return None


def _safely(tend: Callable[[], float | None]) -> float | None:
    try:
        return tend()
    except Exception:  # a fault of ours must not end the thread that captures everybody's units
        logger.exception("a lease could not be looked after")
        return None
