"""The arithmetic of a lease: units held at the service and spent in memory.

No I/O, no lock, no clock of its own.

A hold of N seconds lives at the service until at least ``sent + N - 1`` by *this* process's clock,
for the service counts from when it gets the call and keeps whole seconds. So the two clocks are
never compared, and a wrong one on either side does no harm.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final

from topup_client.errors import HoldClosed, Refused, TopupError
from topup_client.memory import Memory
from topup_client.results import Hold
from topup_client.sizing import Ask, Sizing
from topup_client.terms import Terms
from topup_client.tranche import Tally, Tranche

CLOSE_AGAIN_SECONDS: Final = 2.0
HTTP_NOT_FOUND: Final = 404
logger = logging.getLogger("topup_client")


@dataclass(slots=True)
class Purse:
    """Tranches to spend from, oldest first, and those that are to be closed.

    Law: ``spent == captured + lost + used of all tranches``, and no unit is spent from a tranche at
    or after ``usable_until``.
    """

    terms: Terms
    left: int = 0
    tally: Tally = field(default_factory=Tally)
    _usable: deque[Tranche] = field(default_factory=deque)
    _to_close: list[Tranche] = field(default_factory=list)
    _until: float = inf
    _renew_at: float = inf
    _low: int = 0
    _active_at: float = -inf
    _memory: Memory = field(init=False)
    _sizing: Sizing = field(init=False)

    def __post_init__(self) -> None:
        """Begin with a small hold, and without a refusal."""
        self._memory = Memory(self.terms)
        self._sizing = Sizing(self.terms)

    def spend(self, units: int, now: float) -> bool:
        """Take ``units`` if they are there. The way of every call: a few comparisons."""
        if now >= self._until:
            self.retire(now)
        if units > self.left:
            return False
        self.left -= units
        self.tally.spent += units
        self._active_at = now
        first = self._usable[0]
        if units < first.left:
            first.used += units
        else:
            self._spend_across(units)
        return True

    def is_low(self, now: float) -> bool:
        """Whether the next hold should be fetched now, ahead of need.

        Asked after a debit, so there is demand.
        """
        return (self.left < self._low or now >= self._renew_at) and now >= self._memory.quiet_until

    def ask(self, units: int, now: float) -> Ask:
        """What to fetch so that ``units`` can be spent; 0 for a fetch ahead of need."""
        lacking = max(1, units - self.left)
        return Ask(max(self._sizing.size(self.tally.spent, now), lacking), lacking)

    def add(self, hold: Hold, asked: int, sent: float) -> None:
        """Add a hold of ``asked`` units or what remained of them, requested at ``sent``."""
        self._usable.append(Tranche(hold.hold_id, hold.units, sent + self.terms.usable_seconds))
        self.left += hold.units
        self._low = min(self.terms.low, self.terms.low * hold.units // self.terms.size)
        self._active_at = max(self._active_at, sent)
        self._memory.fetched()
        self._sizing.learn(hold, asked, sent, spent=self.tally.spent, released=self.tally.released)
        self._look()
        if hold.units < asked:
            self._memory.ran_out(sent)

    def fetch_failed(self, error: TopupError, now: float) -> None:
        """No hold came: remember why. What the service said remains does not count units here."""
        self._memory.note(error, now)

    def complain(self, now: float) -> None:
        """Raise what the last fetch met, if that was a moment ago."""
        self._memory.complain(self.left, now)

    def retire(self, now: float) -> None:
        """Stop spending from what is too near its end, and from all of it when nothing is spent."""
        is_idle = now >= self._active_at + self.terms.idle_seconds
        while self._usable and (is_idle or now >= self._usable[0].usable_until):
            self._done(self._usable.popleft())
        self._look()

    def retire_all(self) -> None:
        """Stop spending: the end."""
        self.retire(inf)

    def report_unclosed(self) -> None:
        """Log what is left open at the end."""
        for tranche in self._to_close:
            logger.error(
                "%s stays open with %d units used: it gives all back when it expires",
                tranche.hold_id,
                tranche.used,
            )

    def closable(self, now: float, *, with_rest: bool) -> list[Tranche]:
        """What is to be closed: those that give units back, or those that do not."""
        return [
            tranche
            for tranche in self._to_close
            if (tranche.left > 0) == with_rest and now >= tranche.try_at
        ]

    @property
    def to_close(self) -> Sequence[Tranche]:
        """All of them."""
        return tuple(self._to_close)

    def closing_ended(self, tranche: Tranche, error: TopupError | None, now: float) -> None:
        """Asked to capture what was used of it, the service did (None), or did not."""
        if error is None:
            self._closed(tranche)
        elif isinstance(error, HoldClosed) or (
            isinstance(error, Refused) and error.status == HTTP_NOT_FOUND
        ):
            self._to_close.remove(tranche)
            self.tally.lost += tranche.used
            if tranche.used:
                logger.error(
                    "%d units were served and not paid for: %s was past its time (%s)",
                    tranche.used,
                    tranche.hold_id,
                    error,
                )
        else:
            tranche.try_at = now + CLOSE_AGAIN_SECONDS
            logger.warning(
                "%s is not closed yet, with %d units used: %s", tranche.hold_id, tranche.used, error
            )

    def next_due(self) -> float | None:
        """When something must be done though nobody spends; None for never."""
        times = [tranche.try_at for tranche in self._to_close]
        if self._usable:
            times += [self._until, self._active_at + self.terms.idle_seconds]
        return min(times, default=None)

    def forget(self) -> None:
        """In a forked child: all of it is the parent's, to spend and to close."""
        self.left, self.tally = 0, Tally()
        self._usable.clear()
        self._to_close.clear()
        self._sizing = Sizing(self.terms)
        self._look()

    def _spend_across(self, units: int) -> None:
        """Over the end of the first tranche, perhaps of several."""
        while units:
            first = self._usable[0]
            taken = min(units, first.left)
            first.used += taken
            units -= taken
            if not first.left:
                self._done(self._usable.popleft(), spent=True)
        self._look()

    def _closed(self, tranche: Tranche) -> None:
        self._to_close.remove(tranche)
        self.tally.captured += tranche.used
        self.tally.released += tranche.left
        if tranche.left:
            self._memory.gave_back()

    def _done(self, tranche: Tranche, *, spent: bool = False) -> None:
        self.left -= 0 if spent else tranche.left
        self._to_close.append(tranche)

    def _look(self) -> None:
        """Note the times at which the next debit has to look closer."""
        self._until = self._usable[0].usable_until if self._usable else inf
        early = min(self.terms.margin_seconds / 2, self.terms.usable_seconds / 4)
        self._renew_at = self._usable[-1].usable_until - early if self._usable else inf
