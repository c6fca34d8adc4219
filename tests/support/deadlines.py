"""Deadlines for tests, which a busy machine does not use up."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from billing.deadline import BUDGET_SECONDS, Deadline

TRY_SECONDS: Final = 0.01
"""What a call takes at DynamoDB, or somewhat more."""


class PausedDeadline(Deadline):
    """The product's own 8 seconds, counted in its pauses alone. Tests of one thread use it.

    The real clock would go on while another test or another program has the processor.
    """

    def __init__(self, sleep: Callable[[float], None] = lambda _: None) -> None:
        """``sleep`` is what a pause does besides being counted: nothing, unless given."""
        self._paused = 0.0
        self._wait = sleep
        super().__init__(clock=lambda: self._paused, sleep=self._pause)

    def _pause(self, seconds: float) -> None:
        self._paused += seconds
        self._wait(seconds)


class ThreadDeadline(Deadline):
    """One deadline for each thread. In Lambda a process serves one request at a time."""

    def __init__(self, budget_seconds: int) -> None:
        """Begin in the thread that makes it; every other thread begins by itself."""
        self._own = threading.local()
        super().__init__(budget_seconds)

    @property
    def _deadline(self) -> float:
        found: float = self._own.deadline
        return found

    @_deadline.setter
    def _deadline(self, moment: float) -> None:
        self._own.deadline = moment


class CountedDeadline(ThreadDeadline):
    """The product's own 8 seconds, counted in pauses and in attempts of 10 ms, for many threads.

    The pauses are real: without them all threads would meet again at the same moment.
    """

    def __init__(self) -> None:
        """Begin in the thread that makes it."""
        super().__init__(BUDGET_SECONDS)
        self._clock, self._sleep = self._passed, self._pause
        self.begin()

    def attempts(self, *, pauses: bool = True) -> Iterator[int]:
        """Yield as the product's does, and count 10 ms for each attempt."""
        for attempt in super().attempts(pauses=pauses):
            self._own.passed = self._passed() + TRY_SECONDS
            yield attempt

    def _passed(self) -> float:
        passed: float = getattr(self._own, "passed", 0.0)
        return passed

    def _pause(self, seconds: float) -> None:
        self._own.passed = self._passed() + seconds
        time.sleep(seconds)
