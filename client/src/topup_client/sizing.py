"""Decides how large the next hold is. No I/O, no clock of its own.

A hold has the units that this process spends in ``ahead_seconds``, at the rate since the last
hold. It grows by steps, and it is never more than this process's share of what remains.

The share is what makes the last unit of an account reach a caller. If all processes together spend
``remaining`` in some time T, a process that spends a part p of it may hold ``p * remaining / 10``
units: they last T / 10. So its hold is spent long before the account is empty, and near the end
every hold has one unit, which is spent at once. A process that sees no others may hold half of
what remains.
"""

from dataclasses import dataclass
from math import inf
from typing import Final

from topup_client.results import Hold
from topup_client.terms import Terms

GROWTH: Final = 4
"""A hold is at most this many times as large as the one before."""
PARTS_ALONE: Final = 2
PARTS: Final = 10
"""The share of what remains: of a process alone one part in two, of one among many one in ten of
what it will spend. ``remaining`` is as old as the last hold, and calls come in bursts: with one in
four, a refusal came before the last unit in one of six simulated accounts, with ten in one of 200.
"""
OTHERS_FIRST: Final = 15.0
"""Before a process has seen others spend, it allows for fifteen like itself."""
FADES: Final = 0.75
"""What is left of older figures at each hold."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What to ask the service for: ``units``, or as many of them as remain, if ``at_least``."""

    units: int
    at_least: int


@dataclass(slots=True)
class Sizing:
    """What was seen at the last holds, and the size of the next one."""

    terms: Terms
    _asked: int = 0
    _asked_at: float = -inf
    _spent: int = 0
    _released: int = 0
    _remaining: int | None = None
    _own: float = 1
    _others: float = OTHERS_FIRST

    def size(self, spent: int, now: float) -> int:
        """Units of the next hold. ``spent``: all units that were spent, until ``now``."""
        if self.terms.ahead_seconds is None:
            return self.terms.size
        if self._remaining is None:
            return 1
        parts = PARTS_ALONE * self._own + PARTS * self._others
        share = self._remaining * self._own / parts
        used, elapsed = spent - self._spent, now - self._asked_at
        most = min(self.terms.size, GROWTH * self._asked, share)
        if elapsed > 0:
            seconds = self.terms.usable_seconds / 2  # ahead_seconds, or less near the margin
            most = min(most, used / elapsed * seconds)
        return max(1, int(most))

    def learn(self, hold: Hold, asked: int, sent: float, *, spent: int, released: int) -> None:
        """See what this process and all others took since the last hold. Older figures fade."""
        known = _remaining_of(hold)
        if self._remaining is not None:
            before = known + hold.units
            returned = released - self._released
            self._own = FADES * self._own + spent - self._spent
            self._others = FADES * self._others + max(0, self._remaining + returned - before)
        self._remaining = known
        self._asked, self._asked_at = asked, sent
        self._spent, self._released = spent, released


def _remaining_of(hold: Hold) -> int:
    """Units that can still be held: of the account, or of the key's limit if that is less."""
    if hold.limit_remaining is None:
        return hold.remaining
    return min(hold.remaining, hold.limit_remaining)
