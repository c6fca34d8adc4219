"""Defines a customer's agreement to automatic top-ups.

The agreement is one row, ``quotas (user, "top_up")``, and has the open charge,
if any. Each write of it is on the condition that the row's version has not
changed since it was read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from billing.charging.charge import CARD_SECONDS, Charge, Reason
from billing.payments.payment import Payment
from billing.payments.plan import Plan
from billing.storage.keys import TOP_UP
from billing.storage.writes import Must, Write, absent, equals

MARK: Final = "open"
"""The attribute that puts an agreement's row into the index of rows that the
sweep of each minute must look at. Its value is TOP_UP.
"""
DUE: Final = "expires_at"
"""When the sweep of each minute must look at an agreement's row, in epoch
seconds. It is the range key of the sweep's index.
"""
MAX_PER_MONTH: Final = 30
"""The highest number of charges per month that a customer can agree to."""
MONTH: Final = "%Y-%m"
FROZEN: Final = ("quota", "amount_minor", "currency", "expires_after_days")
"""What is copied from the plan when the customer agrees: units, price, and
after how many days the units expire.
"""
NOT_AS_AGREED: Final = ("plan_removed", "price_changed")


@dataclass(frozen=True, slots=True)
class Card:
    """A saved card as Stripe shows it.

    ``id`` is the id of the payment method at Stripe.
    """

    id: str = ""
    brand: str = ""
    last4: str = ""
    exp_month: int = 0
    exp_year: int = 0
    print: str = ""
    """Stripe's fingerprint of the card number: the same for each payment
    method with this number. "" if Stripe does not know it.
    """

    @property
    def counted_as(self) -> str:
        """Return the name under which attempts on this card are counted.

        It is the same if the customer saves the same card again.
        """
        return self.print or self.id

    def as_answer(self) -> dict[str, Any] | None:
        """Return the card as the API shows it."""
        if not self.id:
            return None
        names = ("brand", "last4", "exp_month", "exp_year")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A customer's agreement to automatic top-ups, and its open charge."""

    user_id: str
    on: bool = False
    plan: str = ""
    quota: int = 0
    amount_minor: int = 0
    currency: str = ""
    expires_after_days: int = 0
    """After how many days the units of the agreed plan expire. 0 means never.
    """
    when_below: int = 0
    max_per_month: int = 0
    agreed_at: str = ""
    customer: str = ""
    card: Card = Card()
    paused: Reason | Literal[""] = ""
    month: str = ""
    """The UTC month of ``used``."""
    used: int = 0
    """How many charges were opened in ``month``, without those that failed."""
    tries: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """When each card was charged in the last thirty days, in epoch seconds, by
    Card.counted_as.
    """
    charge: Charge | None = None
    due: int = 0
    """When the sweep of each minute must look at the agreement, in epoch
    seconds. 0 means never.
    """
    version: int = 0

    @property
    def charges(self) -> bool:
        """Return whether a charge may be opened.

        It may if automatic top-ups are switched on and not paused.
        """
        return self.on and not self.paused

    def used_in(self, month: str) -> int:
        """Return how many charges count for this month.

        If the stored month is a later one, because another clock is a little
        ahead, its count is used.
        """
        return self.used if self.month >= month else 0

    def tries_of(self, card: Card, now: int) -> tuple[int, ...]:
        """Return when this card was tried in the last thirty days."""
        since = now - CARD_SECONDS
        known = self.tries.get(card.counted_as, ())
        return tuple(moment for moment in known if moment > since)

    def differs(self, plan: Plan | None) -> Reason | Literal[""]:
        """Return how the plan for sale differs from the agreed one.

        It is ``plan_removed``, ``price_changed`` (also for other units), or ""
        if it is the same.
        """
        if plan is None:
            return "plan_removed"
        return "" if self._is_as(plan) else "price_changed"

    def covers(self, payment: Payment) -> bool:
        """Return whether a payment has the terms of this agreement.

        It has not if it was created under an earlier agreement with other
        terms.
        """
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
        """Return the agreement in a stored row.

        Without a row, it is one that is switched off. Attributes that a newer
        version wrote are ignored.
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
        """Return the attributes of the row, without key and version."""
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
    """Return the table and the table key of a customer's agreement."""
    return "quotas", (user_id, TOP_UP)


def change(before: Agreement, after: Agreement, *must: Must) -> Write:
    """Return the write that replaces an agreement by another.

    DynamoDB refuses it if the stored agreement has changed since it was
    read. ``must`` are further conditions.
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
    """Return a write that changes nothing but the agreement's version.

    DynamoDB refuses it if the stored agreement is not the one that was
    read. It is not a mere condition check, because all functions that take
    units would then need another permission.
    """
    return change(seen, seen)


def watch(agreement: Agreement) -> Write:
    """Return the write that sets or removes the balance's ``top_up_at``.

    Each debit compares ``remaining`` with it, to see whether the debit takes
    the account below the agreed threshold (``when_below``). It is set while
    the agreement is switched on, also during a pause: the debit then reads the
    agreement.
    """
    key = (agreement.user_id, "quota")
    if agreement.on:
        return Write("quotas", key, set={"top_up_at": agreement.when_below})
    return Write("quotas", key, remove=("top_up_at",))


def _same_version(before: Agreement) -> Must:
    if before.version:
        return equals("version", before.version)
    return absent("version")


def month_of(moment: datetime) -> str:
    """Return a time's UTC month as text, for example ``2026-01``."""
    return moment.strftime(MONTH)


def month_after(moment: datetime) -> datetime:
    """Return the time when the next UTC month starts."""
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if moment.month == 12:  # noqa: PLR2004 - December
        return first.replace(year=moment.year + 1, month=1)
    return first.replace(month=moment.month + 1)


def paused(agreement: Agreement, reason: Reason) -> Agreement:
    """Return the agreement with charges paused for this reason.

    No charge is made until the customer agrees again. If the plan is no
    longer sold as agreed, the agreement is also switched off.
    """
    on = agreement.on and reason not in NOT_AS_AGREED
    return replace(agreement, on=on, paused=reason)


def _members(one: Card | Charge) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}
