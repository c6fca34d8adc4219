"""Defines what can be decided about an event: a change, nothing more to do, or to park it."""

from dataclasses import dataclass
from typing import Literal

from billing.payments.payment import Payment

ParkKind = Literal[
    "ahead", "unknown_payment", "other_session", "mismatch", "paid_twice"
]
Field = Literal["user_id", "plan", "quota", "amount", "currency"]
"""What an event claims of a payment, as operators read it."""


@dataclass(frozen=True, slots=True)
class Change:
    """A decision to write ``payment``, and to move ``units`` (signed) under the ledger entry."""

    payment: Payment
    units: int = 0
    entry: Literal["funded", "clawed_back", "reinstated", ""] = ""


@dataclass(frozen=True, slots=True)
class Already:
    """A decision to write nothing.

    ``duplicate`` is true if the same was settled before. Otherwise the event is stale.
    """

    duplicate: bool


@dataclass(frozen=True, slots=True)
class Park:
    """A decision to park an event that cannot be settled now. ``why`` is for operators."""

    kind: ParkKind
    why: str
    fields: tuple[Field, ...] = ()
    """Of a mismatch: on which claims our record and Stripe differ."""


Decision = Change | Already | Park
