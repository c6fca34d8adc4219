"""Defines facts: Stripe's verified events, reduced to what moves money or units.

Facts are frozen. Their only personal data is the user's id.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal

SessionKind = Literal["paid", "unpaid", "async_failed", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Says where a fact comes from.

    ``fact_id`` is the id of Stripe's event, or ``confirm:cs_…`` or ``reconcile:cs_…`` when we asked
    Stripe's API.
    """

    fact_id: str
    type: str
    created: int
    """Stripe's ``created``, epoch seconds. Orders the declines of one payment, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFact(Origin):
    """What became of a purchase of ours, with everything its metadata claims.

    It is paid at a Checkout Session, or charged automatically by a payment intent alone.
    https://docs.stripe.com/api/checkout/sessions/object
    https://docs.stripe.com/api/payment_intents/object
    """

    name: ClassVar[str] = "session"
    kind: SessionKind
    session_id: str
    """"" for an automatic charge."""
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

    @property
    def funding_id(self) -> str:
        """The id of what is paid: the session, or the payment intent where there is no session."""
        return self.session_id or self.payment_intent or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclinedFact(Origin):
    """A failed attempt to pay. The buyer may try again in the same session."""

    name: ClassVar[str] = "declined"
    payment_id: str
    user_id: str
    failure_code: str
    needs_record: bool = True
    """As SessionFact's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalFact(Origin):
    """A refund or dispute.

    Its payment is found by payment intent, or by charge without an intent.
    """

    payment_intent: str | None
    charge: str | None
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundsFact(ReversalFact):
    """The known refunds of one charge. Amounts are in minor units.

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
    """The known state of one dispute: https://docs.stripe.com/api/disputes/object."""

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
    """Return the fact as a dictionary that can be stored or sent."""
    return {"fact": fact.name, **asdict(fact)}


def from_item(item: Mapping[str, Any]) -> Fact:
    """Return the fact in a dictionary of ``to_item``.

    Raises KeyError or TypeError for other data.
    """
    kind = _BY_NAME[item["fact"]]
    return kind(**known(kind, item))


def known(kind: type, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return those members of ``item`` that the dataclass ``kind`` has.

    Members that a newer version wrote are ignored, so that rolling back stays possible.
    """
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in item.items() if name in names}
