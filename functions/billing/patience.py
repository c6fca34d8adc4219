"""How long one request may go on trying: one deadline for all its outside calls, and the pauses between them."""

import random
import time
from collections.abc import Callable, Iterator
from typing import Final

BUDGET_SECONDS: Final = 8
"""No outside call starts later than this after the request began. With the longest single call (6 s, Stripe) a request
ends within 14 s: less than the functions' timeout, which is less than API Gateway's 30 s (tests/repo holds the sum)."""
ATTEMPTS_MAX: Final = 400
"""Bounds every retry loop even if the clock stands still."""
PAUSE_FIRST_SECONDS: Final = 0.01
PAUSE_LAST_SECONDS: Final = 0.4


class Patience:
    """One per process, begun anew with every request: the doors ask it before they try again."""

    def __init__(
        self,
        budget_seconds: int = BUDGET_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``clock`` and ``sleep`` are given by tests that must not wait."""
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._sleep = sleep
        self.begin()

    def begin(self) -> None:
        """A request begins, or the next fact of a batch."""
        self._deadline = self._clock() + self._budget_seconds

    def attempts(self) -> Iterator[int]:
        """Yield 0, 1, 2, ... with a jittered, growing pause before each but the first, until the deadline.

        Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        """
        pause = PAUSE_FIRST_SECONDS
        for attempt in range(ATTEMPTS_MAX):
            if attempt:
                self._sleep(random.uniform(0, pause))  # noqa: S311 - jitter, not a secret
                pause = min(pause * 2, PAUSE_LAST_SECONDS)
            if self._clock() > self._deadline:
                return
            yield attempt
