"""Defines what can be decided about an event from Stripe.

The decision is to change a payment (Change), to write nothing (Already), or to
park the event: to keep it and settle it later (Park).
"""

from dataclasses import dataclass
from typing import Literal

from billing.payments.payment import Payment

ParkKind = Literal[
    "ahead", "unknown_payment", "other_session", "mismatch", "paid_twice"
]
Field = Literal["user_id", "plan", "quota", "amount", "currency"]
"""What an event says about a payment and must match our record. Operators see
these names.
"""


@dataclass(frozen=True, slots=True)
class Change:
    """Says to write ``payment``, and to add ``units`` to the user's balance.

    ``units`` are negative if they are taken back after a refund or dispute.
    ``entry`` is the type of the ledger entry, or "" if no units move.
    """

    payment: Payment
    units: int = 0
    entry: Literal["funded", "clawed_back", "reinstated", ""] = ""


@dataclass(frozen=True, slots=True)
class Already:
    """Says that an event from Stripe changes nothing, so nothing is written.

    ``duplicate`` is true if the same event was processed before. Otherwise a
    later event has made this one stale.
    """

    duplicate: bool


@dataclass(frozen=True, slots=True)
class Park:
    """A decision to park an event: keep it, and settle it later.

    ``why`` is the reason as operators read it.
    """

    kind: ParkKind
    why: str
    fields: tuple[Field, ...] = ()
    """For a mismatch: in which fields our record and Stripe differ."""


Decision = Change | Already | Park
