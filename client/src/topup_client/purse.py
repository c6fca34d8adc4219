"""The arithmetic of a lease: units held at the service and spent in memory.

No I/O, no lock, no clock of its own.

A hold of N seconds lives at the service until at least ``sent + N - 1`` by *this* process's clock,
for the service counts from when it gets the call and keeps whole seconds. So the two clocks are
never compared, and a wrong one on either side does no harm.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final

from topup_client.errors import (
    HoldClosed,
    OutcomeUnknown,
    QuotaExhausted,
    Refused,
    TopupError,
    Unavailable,
)
from topup_client.results import Hold
from topup_client.terms import ROUNDING_SECONDS, Terms

TROUBLE_SECONDS_FIRST: Final = 0.5
TROUBLE_SECONDS_MAX: Final = 8.0
"""How long a failed fetch is remembered: callers are refused at once instead of queueing for a
service that does not answer."""
CLOSE_AGAIN_SECONDS: Final = 2.0
HTTP_NOT_FOUND: Final = 404
logger = logging.getLogger("topup_client")


@dataclass(slots=True, eq=False)
class Tranche:
    """One hold as its holder sees it."""

    hold_id: str
    units: int
    usable_until: float
    used: int = 0
    try_at: float = 0
    """When closing it may be tried again."""

    @property
    def left(self) -> int:
        """Units not spent yet."""
        return self.units - self.used


@dataclass(slots=True)
class Tally:
    """Units by what became of them."""

    spent: int = 0
    captured: int = 0
    released: int = 0
    lost: int = 0
    """Spent, but the hold was past its time when it was to be captured: the customer has them back,
    and the seller bears them."""

    def copy(self) -> "Tally":
        """The figures as they are now."""
        return replace(self)


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
    _quiet_until: float = -inf
    _refusal: QuotaExhausted | None = None
    _trouble: TopupError | None = None
    _remembered_until: float = -inf
    _trouble_seconds: float = TROUBLE_SECONDS_FIRST

    def spend(self, units: int, now: float) -> bool:
        """Take ``units`` if they are there. The way of every call: a few comparisons."""
        if now >= self._until:
            self.retire(now)
        if units > self.left:
            return False
        self.left -= units
        self.tally.spent += units
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
        return (self.left < self._low or now >= self._renew_at) and now >= self._quiet_until

    def asks_for(self, units: int) -> int:
        """How many units to fetch so that ``units`` can be spent."""
        return max(self.terms.size, units - self.left)

    def add(self, hold: Hold, sent: float, refusal: QuotaExhausted | None = None) -> None:
        """Add a hold that was requested at ``sent``; after ``refusal`` it has what is left."""
        until = sent + self.terms.lifetime_seconds - ROUNDING_SECONDS - self.terms.margin_seconds
        self._usable.append(Tranche(hold.hold_id, hold.units, until))
        self.left += hold.units
        self._low = self.terms.low
        self._trouble, self._trouble_seconds = None, TROUBLE_SECONDS_FIRST
        self._look()
        if refusal and not hold.remaining:
            self.refused(QuotaExhausted(0, refusal.top_up_url), sent)

    def refused(self, refusal: QuotaExhausted, now: float) -> None:
        """The service has no more for now. ``remaining`` is what it had beside the units here."""
        self._refusal, self._trouble = refusal, None
        self._remembered_until = now + self.terms.refusal_seconds
        self._quiet_until = now + max(self.terms.refusal_seconds, self.terms.lifetime_seconds / 4)

    def troubled(self, error: TopupError, now: float) -> None:
        """A fetch failed: nobody asks again for a while that grows."""
        self._refusal, self._trouble = None, error
        self._remembered_until = self._quiet_until = now + self._trouble_seconds
        self._trouble_seconds = min(2 * self._trouble_seconds, TROUBLE_SECONDS_MAX)

    def complain(self, now: float) -> None:
        """Raise what the last fetch met, if that was a moment ago."""
        if now >= self._remembered_until:
            return
        if self._refusal:
            raise QuotaExhausted(self.left + self._refusal.remaining, self._refusal.top_up_url)
        if self._trouble:
            kind = OutcomeUnknown if isinstance(self._trouble, OutcomeUnknown) else Unavailable
            raise kind(
                f"units could not be fetched a moment ago: {self._trouble}"
            ) from self._trouble

    def retire(self, now: float) -> None:
        """Stop spending from what is too near its end."""
        while self._usable and now >= self._usable[0].usable_until:
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
        """All that is to be closed."""
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
        return min([*times, self._until]) if times or self._usable else None

    def forget(self) -> None:
        """In a forked child: all of it is the parent's, to spend and to close."""
        self.left, self.tally = 0, Tally()
        self._usable.clear()
        self._to_close.clear()
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
        if tranche.left:  # these units may be asked for at once
            self._refusal, self._quiet_until = None, -inf

    def _done(self, tranche: Tranche, *, spent: bool = False) -> None:
        self.left -= 0 if spent else tranche.left
        self._to_close.append(tranche)

    def _look(self) -> None:
        """Note the times at which the next debit has to look closer."""
        self._until = self._usable[0].usable_until if self._usable else inf
        self._renew_at = (
            self._usable[-1].usable_until - self.terms.margin_seconds / 2 if self._usable else inf
        )
