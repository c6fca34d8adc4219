"""Defines the deadline that all outside calls of a request share, and pauses between retries."""

import time
from collections.abc import Callable, Iterator
from random import SystemRandom
from typing import Final

BUDGET_SECONDS: Final = 8
"""No outside call starts later than this after the request began.

With the longest single call (6 s, Stripe) a request ends within 14 s: less than the functions'
timeout, which is less than API Gateway's 30 s (tests/repo holds the sum).
"""
ATTEMPTS_MAX: Final = 400
"""Bounds every retry loop even if the clock stands still."""
PAUSE_FIRST_SECONDS: Final = 0.01
PAUSE_LAST_SECONDS: Final = 0.4
TRIES_LEFT: Final = 20
"""Shorten pauses so that about this many attempts still fit before the deadline. Otherwise new
requests, which retry fastest, would starve old ones."""
JITTER: Final = SystemRandom()
"""The operating system's randomness.

`random` itself would give the same pauses to all containers that start from one snapshot.

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
        """Tests that must not wait give ``clock`` and ``sleep``."""
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._sleep = sleep
        self.begin()

    def begin(self) -> None:
        """Start the deadline for a new request, or for the next event of a batch."""
        self._deadline = self._clock() + self._budget_seconds

    def attempts(self, *, pauses: bool = True) -> Iterator[int]:
        """Yield 0, 1, 2, ... until the deadline, with a jittered pause before each but the first.

        Set ``pauses`` to False where every attempt makes progress. Pauses grow at first, and become
        shorter as the deadline comes near. Full jitter:
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
