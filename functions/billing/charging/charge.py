"""Defines an automatic charge that is not finished yet.

An account has at most one. It is stored in the row of the customer's agreement
to automatic top-ups.
"""

from dataclasses import dataclass
from typing import Literal

State = Literal["waiting", "asked", "processing"]
Reason = Literal[
    "authentication_required",
    "card_declined",
    "declined_too_often",
    "card_gone",
    "too_many_attempts",
    "refused",
    "record_lost",
    "price_changed",
    "plan_removed",
    "disputed",
    "refunded",
]
"""Why charges are paused until the customer agrees again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Holds the state of an account's unfinished automatic charge.

    Times are epoch seconds.
    """

    payment_id: str
    state: State = "waiting"
    attempt: int = 0
    asked_at: int = 0
    """When this attempt's request was first sent."""
    due: int = 0
    intent: str = ""
    """The charge's payment intent, once Stripe has made it. An intent succeeds
    at most once.
    """
    card: str = ""
    customer: str = ""
    """The customer at Stripe whose payment method ``card`` is. Both are fixed
    for the attempt, because one idempotency key must always send the same
    request.
    """

    @property
    def key(self) -> str:
        """Return Stripe's idempotency key for the charge's present attempt."""
        return f"{self.payment_id}-{self.attempt}"
