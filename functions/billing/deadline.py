"""Defines the deadline of a request, and the pauses between its retries.

All calls that a request makes to DynamoDB and Stripe share its deadline.
"""

import time
from collections.abc import Callable, Iterator
from random import SystemRandom
from typing import Final

BUDGET_SECONDS: Final = 8
"""How long after a request's start a call may begin. With the longest single
call (6 s, Stripe) a request ends within 14 s. That is less than the
functions' timeout, which is less than API Gateway's 30 s (tests/repo
computes the sum).
"""
ATTEMPTS_MAX: Final = 400
"""The most attempts of every retry loop, even if the clock stands still."""
PAUSE_FIRST_SECONDS: Final = 0.01
PAUSE_LAST_SECONDS: Final = 0.4
TRIES_LEFT: Final = 20
"""Shorten pauses so that about this many attempts still fit before the deadline. Otherwise new
requests, which retry fastest, would starve old ones."""
JITTER: Final = SystemRandom()
"""The operating system's random numbers. The module ``random`` would give the
same pauses to all processes that start from one snapshot.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""


class Deadline:
    """The deadline of the present request. Clients check it before they retry.

    Each process has one, and starts it again for every request.
    """

    def __init__(
        self,
        budget_seconds: int = BUDGET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Start the deadline, ``budget_seconds`` from now.

        Attempts of a call begin only before it. ``begin`` starts it again.
        ``clock`` and ``sleep`` are for tests, which must not wait.
        """
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._sleep = sleep
        self.begin()

    def begin(self) -> None:
        """Start the deadline for a new request, or for the next event of a batch."""
        self._deadline = self._clock() + self._budget_seconds

    def attempts(self, *, pauses: bool = True) -> Iterator[int]:
        """Yield 0, 1, 2, ... until the deadline, with pauses in between.

        With ``pauses`` False there are none, for loops in which every attempt
        makes progress. Pauses grow at first, and become shorter as the
        deadline comes near. They are random ("full jitter"):
        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        """
        pause = PAUSE_FIRST_SECONDS
        for attempt in range(ATTEMPTS_MAX):
            if attempt and pauses:
                fitting = (self._deadline - self._clock()) / TRIES_LEFT
                self._sleep(
                    JITTER.uniform(
                        0, max(PAUSE_FIRST_SECONDS, min(pause, fitting))
                    )
                )
                pause = min(pause * 2, PAUSE_LAST_SECONDS)
            if self._clock() > self._deadline:
                return
            yield attempt
