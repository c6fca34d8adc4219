"""Defines a grant: units that are given to a customer, or taken away.

It also says which grants make no sense, and under which table keys a grant is
stored.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from billing.clock import epoch, from_epoch
from billing.ids import USER_ID_CHARS_MAX, digest
from billing.lots.lot import Lot, Source
from billing.money import UNITS_MAX
from billing.quota.ledger import Entry

REASON_CHARS_MAX: Final = 500
ID_CHARS_MAX: Final = 100
YEARS_MAX: Final = 10
"""How many years ahead a grant may expire."""
WELCOME: Final = "welcome"
Kind = Literal["invalid", "not_enough", "conflict"]


class GrantError(Exception):
    """The grant cannot be booked, and nothing was written.

    ``kind`` is ``invalid``, ``not_enough`` (it takes more units than the
    account has) or ``conflict`` (its id belongs to another grant).
    ``remedy`` says what to do.
    """

    def __init__(self, kind: Kind, message: str, remedy: str) -> None:
        """``message`` and ``remedy`` are sentences for an operator."""
        super().__init__(message)
        self.kind: Kind = kind
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Grant:
    """Holds a grant: units that a customer gets without paying.

    ``units`` is negative to take units away. ``expires_at`` is in epoch
    seconds. 0 means never.
    """

    grant_id: str
    user_id: str
    units: int
    reason: str
    expires_at: int = 0
    source: Source = "grant"

    @property
    def is_given(self) -> bool:
        """Return whether the grant adds units. Otherwise it takes units."""
        return self.units > 0

    @property
    def entry_id(self) -> str:
        """Return the id of the grant's ledger entry.

        As it is always the same, one grant is booked only once.
        """
        return WELCOME if self.source == WELCOME else f"grant:{self.grant_id}"

    @property
    def row(self) -> tuple[str, str]:
        """Return the table key of the row that records this grant.

        It is found by the grant's id, or by the user for the welcome units.
        """
        if self.source == WELCOME:
            return welcome_row(self.user_id)
        return grant_row(self.grant_id)

    @property
    def body(self) -> str:
        """Return a hash of the grant's contents.

        A repeat with the same id must have the same hash.
        """
        shown = (
            self.user_id,
            str(self.units),
            self.reason,
            str(self.expires_at),
        )
        return digest(*shown)

    def entry(self, now: str) -> Entry:
        """Return the grant's ledger entry.

        Customers see the grant's id in it, not the reason.
        """
        return Entry(
            self.user_id,
            self.entry_id,
            "granted" if self.is_given else "adjusted",
            self.units,
            self.source,
            self.grant_id,
            now,
            note=self.reason,
        )

    def lot(self, units: int, now: datetime) -> Lot:
        """Return the lot (units of one grant) that the grant adds.

        ``units`` of it can be spent. They are fewer than were granted if some
        pay debt.
        """
        lot = Lot(
            lot_id=self.entry_id,
            source=self.source,
            units=self.units,
            free=units,
            expires_at=self.expires_at,
            created_us=int(now.timestamp() * 1_000_000),
            reference_id=self.grant_id,
        )
        return lot.begun(epoch(now))

    def check(self, now: datetime) -> None:
        """Raise GrantError ``invalid`` if the grant cannot be booked as it is.

        That is if its units, reason, id, user id or expiry is out of range.
        """
        if not self.units or abs(self.units) > UNITS_MAX:
            remedy = (
                f"give a whole number from 1 to {UNITS_MAX}, or a negative one"
            )
            raise GrantError(
                "invalid", f"{self.units} units cannot be granted", remedy
            )
        if not self.reason.strip() or len(self.reason) > REASON_CHARS_MAX:
            length = f"--reason with 1 to {REASON_CHARS_MAX} characters"
            remedy = f"{length}, for those who read the ledger later"
            raise GrantError("invalid", "a grant needs a reason", remedy)
        if (
            not 0 < len(self.grant_id) <= ID_CHARS_MAX
            or not self.grant_id.isprintable()
        ):
            remedy = f"--id takes 1 to {ID_CHARS_MAX} printable characters"
            raise GrantError("invalid", f"{self.grant_id!r} is no id", remedy)
        if not 0 < len(self.user_id) <= USER_ID_CHARS_MAX:
            remedy = (
                f"give the token's sub, 1 to {USER_ID_CHARS_MAX} characters"
            )
            raise GrantError(
                "invalid", f"{self.user_id[:40]!r} is no user id", remedy
            )
        if self.expires_at and not self._expires_in_time(now):
            remedy = f"give a time in the future, within {YEARS_MAX} years"
            when = f"the units would expire at {from_epoch(self.expires_at)}"
            raise GrantError("invalid", when, remedy)

    def _expires_in_time(self, now: datetime) -> bool:
        if not self.is_given:
            return False
        return epoch(now) < self.expires_at <= epoch(_years_later(now))


def _years_later(now: datetime) -> datetime:
    """Return the same day and time YEARS_MAX years later.

    The 29th of February becomes the 28th.
    """
    try:
        return now.replace(year=now.year + YEARS_MAX)
    except ValueError:
        return now.replace(year=now.year + YEARS_MAX, day=28)


def grant_row(grant_id: str) -> tuple[str, str]:
    """Return the table key of the row that finds a grant by its id.

    The row is never deleted.
    """
    return (f"grant#{grant_id}", "grant")


def welcome_row(user_id: str) -> tuple[str, str]:
    """Return the table key of the row for a customer's welcome units.

    The row is never deleted.
    """
    return (user_id, WELCOME)
