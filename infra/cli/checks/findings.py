"""Defines the stack that ``topup doctor`` examines, and the result of a check."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from billing.books import Books
from billing.clock import epoch

from infra.cli.stripe.account import AccountAtStripe
from infra.cli.target import TargetStack

Level = Literal["ok", "note", "wrong", "unknown"]
NEW_SECONDS: Final = 3 * 3600
"""The age below which a stack is new. In an older stack every hourly schedule has run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    ``level`` is ``ok``, ``note`` (unusual, but allowed, for example in a local or a new stack),
    ``wrong`` (a fault, with its ``repair``), or ``unknown`` if something could not be read.
    """

    check: str
    level: Level
    what: str
    repair: str = ""

    def as_answer(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Patient:
    """The stack that ``topup doctor`` examines, with its books and its Stripe account."""

    target: TargetStack
    books: Books
    account: AccountAtStripe

    @property
    def is_local(self) -> bool:
        """Return whether the stack is local. A local stack lacks some services of AWS."""
        return self.target.settings.stage == "local"

    def unless_local(self, level: Level) -> Level:
        """Return the level of a finding: ``level``, or ``note`` if the stack is local.

        So a local stack, which lacks some services of AWS, is not called wrong for that.
        """
        return "note" if self.is_local else level

    @property
    def is_new(self) -> bool:
        """Return whether the stack is so new that hourly schedules may not have run yet."""
        return epoch(self.books.clock()) - self.target.made_epoch < NEW_SECONDS
