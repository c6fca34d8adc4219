"""Defines a customer's agreement to automatic top-ups, with the charge that is open under it.

It is one row beside the balance, ``quotas (user, "top_up")``. Each write of it pins its version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from billing.payments.payment import Payment
from billing.payments.plan import Plan
from billing.storage.keys import TOP_UP
from billing.storage.writes import Must, Write, absent_or, equals
from billing.top_up.charge import CARD_SECONDS, Charge, Reason

MARK: Final = "open"
"""The attribute that puts a row into the index of what is due; TOP_UP is its value."""
DUE: Final = "expires_at"
"""When the sweep comes to the row, epoch seconds: the index's range key."""
MAX_PER_MONTH: Final = 30
"""The most charges a month that a customer can agree to."""
MONTH: Final = "%Y-%m"
FROZEN: Final = ("quota", "amount_minor", "currency", "expires_after_days")
"""What is agreed to with a plan: the units, how long they live, and the price."""
NOT_AS_AGREED: Final = ("plan_removed", "price_changed")


@dataclass(frozen=True, slots=True)
class Card:
    """A saved card as Stripe shows it. ``id`` is the payment method's."""

    id: str = ""
    brand: str = ""
    last4: str = ""
    exp_month: int = 0
    exp_year: int = 0
    print: str = ""
    """The same for every payment method that is made of one card number. "" where unknown."""

    @property
    def counted_as(self) -> str:
        """Return the name for counting attempts. Saving a card again does not change it."""
        return self.print or self.id

    def as_answer(self) -> dict[str, Any] | None:
        """Return the card as the API shows it."""
        if not self.id:
            return None
        names = ("brand", "last4", "exp_month", "exp_year")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A customer's agreement, and the state of its charges."""

    user_id: str
    on: bool = False
    plan: str = ""
    quota: int = 0
    amount_minor: int = 0
    currency: str = ""
    expires_after_days: int = 0
    """How long the units of the agreed plan live, 0 for ever."""
    when_below: int = 0
    max_per_month: int = 0
    agreed_at: str = ""
    customer: str = ""
    card: Card = Card()
    paused: Reason | Literal[""] = ""
    month: str = ""
    """The UTC month of ``used``."""
    used: int = 0
    """Charges opened in that month, less those that failed."""
    tries: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """When each card was tried in the last thirty days, epoch seconds."""
    charge: Charge | None = None
    due: int = 0
    """When the sweep looks at the row, 0 for never."""
    version: int = 0

    @property
    def charges(self) -> bool:
        """Return whether a charge may be opened: the agreement is on, and not paused."""
        return self.on and not self.paused

    def used_in(self, month: str) -> int:
        """Return how many charges count for this month.

        The stored month may be the next one already, by a clock that is a little ahead.
        """
        return self.used if self.month >= month else 0

    def tries_of(self, card: Card, now: int) -> tuple[int, ...]:
        """Return when this card was tried in the last thirty days."""
        since = now - CARD_SECONDS
        known = self.tries.get(card.counted_as, ())
        return tuple(moment for moment in known if moment > since)

    def differs(self, plan: Plan | None) -> Reason | Literal[""]:
        """Return how what the catalogue sells differs from what was agreed, "" if it does not."""
        if plan is None:
            return "plan_removed"
        return "" if self._is_as(plan) else "price_changed"

    def covers(self, payment: Payment) -> bool:
        """Return whether a payment has the terms of this agreement, not of an earlier one."""
        return self.plan == payment.plan and self._is_as(payment)

    def _is_as(self, other: Plan | Payment) -> bool:
        return all(
            getattr(self, name) == getattr(other, name) for name in FROZEN
        )

    def as_answer(self, month: str) -> dict[str, Any]:
        """Return the agreement as ``GET /quota/auto-top-up`` shows it."""
        return {
            "on": self.on,
            "plan": self.plan or None,
            "when_below": self.when_below or None,
            "max_per_month": self.max_per_month or None,
            "used_this_month": self.used_in(month),
            "card": self.card.as_answer(),
            "agreed_at": self.agreed_at or None,
            "paused": self.paused or None,
        }

    @classmethod
    def from_item(
        cls, user_id: str, item: Mapping[str, Any] | None
    ) -> "Agreement":
        """Return the agreement in a stored row, or one that is off without a row.

        Ignores attributes that a newer version wrote.
        """
        stored = item or {}
        plain = ("user_id", "card", "tries", "charge", "due")
        known = {
            name: stored[name]
            for name in cls.__slots__
            if name in stored and name not in plain
        }
        charge = stored.get("charge")
        tries = stored.get("tries", {})
        return cls(
            user_id=user_id,
            card=Card(**stored.get("card", {})),
            tries={name: tuple(moments) for name, moments in tries.items()},
            charge=Charge(**charge) if charge else None,
            due=stored.get(DUE, 0),
            **known,
        )

    def to_item(self) -> dict[str, Any]:
        """Return the stored attributes except the key and the version."""
        plain = ("user_id", "card", "tries", "charge", "due", "version")
        names = (name for name in self.__slots__ if name not in plain)
        item: dict[str, Any] = {name: getattr(self, name) for name in names}
        item["card"] = _members(self.card)
        item["tries"] = {
            name: list(moments) for name, moments in self.tries.items()
        }
        if self.charge:
            item["charge"] = _members(self.charge)
            item["charge_id"] = self.charge.payment_id
        if self.due:
            item |= {MARK: TOP_UP, DUE: self.due}
        return item


def row(user_id: str) -> tuple[Literal["quotas"], tuple[str, str]]:
    """Return table and key of a customer's agreement."""
    return "quotas", (user_id, TOP_UP)


def change(before: Agreement, after: Agreement, *must: Must) -> Write:
    """Return the write that replaces an agreement by another.

    DynamoDB refuses it if the stored agreement has changed since it was read. ``must`` adds
    clauses.
    """
    old, new = before.to_item(), after.to_item()
    table, key = row(after.user_id)
    return Write(
        table,
        key,
        set={
            name: value for name, value in new.items() if old.get(name) != value
        },
        add={"version": 1},
        remove=tuple(name for name in old if name not in new),
        must=(_same_version(before), *must),
    )


def pin(seen: Agreement) -> Write:
    """Return the write that is refused unless the stored agreement is the one that was read.

    It counts as a change. A mere check would be one more right of every function that takes units.
    """
    return change(seen, seen)


def watch(agreement: Agreement) -> Write:
    """Return the write that lets every debit know ``when_below``, or that there is none.

    It stands in the transaction of what the customer decides. A pause leaves it: the agreement
    itself is asked by the write that crosses.
    """
    key = (agreement.user_id, "quota")
    if agreement.on:
        return Write("quotas", key, set={"top_up_at": agreement.when_below})
    return Write("quotas", key, remove=("top_up_at",))


def _same_version(before: Agreement) -> Must:
    if before.version:
        return equals("version", before.version)
    return absent_or("version", "==", 0)


def month_of(moment: datetime) -> str:
    """Return a time's UTC month as text, for example ``2026-01``."""
    return moment.strftime(MONTH)


def month_after(moment: datetime) -> datetime:
    """Return when the next UTC month begins."""
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if moment.month == 12:  # noqa: PLR2004 - December
        return first.replace(year=moment.year + 1, month=1)
    return first.replace(month=moment.month + 1)


def paused(agreement: Agreement, reason: Reason) -> Agreement:
    """Return the agreement in a state without charges until the customer agrees again.

    Where its plan is not sold as agreed, it is off.
    """
    on = agreement.on and reason not in NOT_AS_AGREED
    return replace(agreement, on=on, paused=reason)


def _members(one: Card | Charge) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}
