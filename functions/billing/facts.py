"""Facts: Stripe's verified events, reduced to what moves money or quota.

They are frozen and have no personal data but the user's id.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal

SessionKind = Literal["paid", "unpaid", "async_failed", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a fact comes from.

    ``fact_id`` is the event's id, or ``confirm:cs_…`` or ``reconcile:cs_…`` when we asked Stripe.
    """

    fact_id: str
    type: str
    created: int
    """Stripe's ``created``, epoch seconds. Orders the declines of one payment, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFact(Origin):
    """What became of a Checkout Session of ours, with everything its metadata claims.

    https://docs.stripe.com/api/checkout/sessions/object
    """

    name: ClassVar[str] = "session"
    kind: SessionKind
    session_id: str
    payment_id: str
    user_id: str
    plan: str
    quota: int
    amount_subtotal: int
    """Before discounts and exclusive taxes: the price."""
    amount_total: int
    """After both: what was paid."""
    currency: str
    payment_intent: str | None
    expires_after_days: int = 0
    """How long the units live, 0 for ever."""
    needs_record: bool = True
    """Only our record can show that it is ours: its metadata is older than deployment ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclinedFact(Origin):
    """An attempt to pay failed; the buyer may try again in the same session."""

    name: ClassVar[str] = "declined"
    payment_id: str
    user_id: str
    failure_code: str
    needs_record: bool = True
    """As SessionFact's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalFact(Origin):
    """Money goes back. Found by its payment intent, or by its charge if Stripe gives no intent."""

    payment_intent: str | None
    charge: str | None
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundsFact(ReversalFact):
    """What is known of the refunds of one charge. Amounts in minor units.

    https://docs.stripe.com/api/charges/object#charge_object-amount_refunded
    """

    name: ClassVar[str] = "refunds"
    refunded_minor: int = 0
    """The cumulative figure, 0 where this event does not have it.

    Stripe lowers it when a refund fails.
    """
    failed: Mapping[str, int] = field(default_factory=dict)
    """Refund id to amount, of refunds that failed or were canceled. They count as never made."""
    standing: Mapping[str, int] = field(default_factory=dict)
    """Refund id to amount, of refunds that stand."""
    needs_record: bool = False
    """Only our record can show that it is ours: its charge's metadata names no deployment."""
    payment_id: str = ""
    user_id: str = ""
    """Whose record the charge's metadata names, if it has metadata of Topup."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeFact(ReversalFact):
    """What is known of one dispute (https://docs.stripe.com/api/disputes/object)."""

    name: ClassVar[str] = "dispute"
    dispute_id: str
    amount: int
    opened: bool
    """It is a formal dispute, not an inquiry (``warning_*``)."""
    closed: str
    """``won``, ``lost``, ``warning_closed``, ``prevented`` or "" while it is open."""
    transactions: Mapping[str, int]
    """Balance transaction id to amount (negative: money went out), fees not counted."""
    converted: bool = False
    """They are in the account's settlement currency, which is not the dispute's
    (https://docs.stripe.com/currencies/conversions)."""


Fact = SessionFact | DeclinedFact | RefundsFact | DisputeFact
_BY_NAME: Mapping[str, type[Fact]] = {
    kind.name: kind
    for kind in (SessionFact, DeclinedFact, RefundsFact, DisputeFact)
}


def to_item(fact: Fact) -> dict[str, Any]:
    """The fact as plain data, for a parked record or a message."""
    return {"fact": fact.name, **asdict(fact)}


def from_item(item: Mapping[str, Any]) -> Fact:
    """The reverse of to_item. Raises KeyError or TypeError for other data."""
    kind = _BY_NAME[item["fact"]]
    return kind(**known(kind, item))


def known(kind: type, item: Mapping[str, Any]) -> dict[str, Any]:
    """Those members of ``item`` that ``kind`` has.

    Ignores what a newer version wrote, so that rolling back stays possible.
    """
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in item.items() if name in names}
