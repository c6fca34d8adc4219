"""Defines a customer's agreement to automatic top-ups, with its open charge, if any."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from billing.agreements.card import CARD_SECONDS, Card
from billing.charging.charge import Charge, Reason
from billing.payments.payment import Payment
from billing.payments.plan import Plan
from billing.storage.keys import TOP_UP

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
FROZEN: Final = ("quota", "amount_minor", "currency", "expires_after_days")
"""What is copied from the plan when the customer agrees: units, price, and
after how many days the units expire.
"""
NOT_AS_AGREED: Final = ("plan_removed", "price_changed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Holds a customer's agreement to automatic top-ups, and its open charge.

    It says which plan is bought again, at which price, with which saved card,
    below how many units and how often. ``charge`` is the charge that is under
    way, or None.
    """

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
    card: Card = field(default_factory=Card)
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
        """Return how many charges count towards this month's limit.

        It is 0 if the stored count is of an earlier month. If it is of a later
        month, because another clock is a little ahead, the stored count is
        used.
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
        """Return the agreement as ``GET /quota/auto-top-up`` shows it.

        ``month`` is the present UTC month, for example ``2026-01``. Its
        charges are counted in ``used_this_month``.
        """
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
        """Return the attributes of the agreement's row in the table.

        The row's key and its write counter, ``version``, are left out.
        """
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


def paused(agreement: Agreement, reason: Reason) -> Agreement:
    """Return the agreement with charges paused for this reason.

    No charge is made until the customer agrees again. If the plan is no
    longer sold as agreed, the agreement is also switched off.
    """
    on = agreement.on and reason not in NOT_AS_AGREED
    return replace(agreement, on=on, paused=reason)


def _members(one: Card | Charge) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}
