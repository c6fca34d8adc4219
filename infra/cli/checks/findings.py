"""Defines what the doctor examines, and a finding."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from billing.books import Books
from billing.clock import epoch

from infra.cli.stripe.account import AccountAtStripe
from infra.cli.target import TargetStack

Level = Literal["ok", "note", "wrong", "unknown"]
NEW_SECONDS: Final = 3 * 3600
"""By then every hourly schedule has run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    ``level`` note is allowed in a local or a new stack. wrong needs ``repair``. unknown could not
    be read.
    """

    check: str
    level: Level
    what: str
    repair: str = ""

    def as_answer(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Patient:
    """One stack, with its books and its Stripe account."""

    target: TargetStack
    books: Books
    account: AccountAtStripe

    @property
    def is_local(self) -> bool:
        """Whether it is the local stack, which lacks some services of AWS on purpose."""
        return self.target.settings.stage == "local"

    def unless_local(self, level: Level) -> Level:
        """Return ``level``, or note in the local stack."""
        return "note" if self.is_local else level

    @property
    def is_new(self) -> bool:
        """Whether the stack is so new that hourly schedules may not have run yet."""
        return epoch(self.books.clock()) - self.target.made_epoch < NEW_SECONDS
