"""Defines facts: what Stripe says about a payment, refund or dispute.

A fact is parsed from a verified event or from an answer of Stripe's API. Facts
are immutable. Their only personal data is the user's id.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal

SessionKind = Literal["paid", "unpaid", "async_failed", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The members of every fact (a parsed Stripe event): where it comes from.

    ``fact_id`` is the id of Stripe's event, or ``confirm:cs_…`` or
    ``reconcile:cs_…`` if we asked Stripe's API.
    """

    fact_id: str
    type: str
    created: int
    """Stripe's ``created``, in epoch seconds. It only orders the declined
    attempts of one payment.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFact(Origin):
    """Says whether a purchase was paid, is unpaid, failed or expired.

    It also has what our metadata says: the user, the plan and its units. It is
    parsed from a Checkout Session, or from the payment intent of an automatic
    charge, which has no session.
    https://docs.stripe.com/api/checkout/sessions/object
    https://docs.stripe.com/api/payment_intents/object
    """

    name: ClassVar[str] = "session"
    kind: SessionKind
    session_id: str
    """The id of the Checkout Session, "" for an automatic charge."""
    payment_id: str
    user_id: str
    plan: str
    quota: int
    amount_subtotal: int
    """The price: before discounts and exclusive taxes."""
    amount_total: int
    """What was paid: after discounts and taxes."""
    currency: str
    payment_intent: str | None
    expires_after_days: int = 0
    """After how many days the units expire. 0 means never."""
    needs_record: bool = True
    """True if only our stored payment can show that the event is ours, because
    the metadata is older than deployment ids.
    """

    @property
    def funding_id(self) -> str:
        """Return the id of the Stripe object that pays for the purchase.

        It is the session, or the payment intent if there is no session.
        """
        return self.session_id or self.payment_intent or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclinedFact(Origin):
    """Says that an attempt to pay failed, and why (``failure_code``).

    The buyer may try again in the same Checkout Session.
    """

    name: ClassVar[str] = "declined"
    payment_id: str
    user_id: str
    failure_code: str
    needs_record: bool = True
    """As in SessionFact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalFact(Origin):
    """Holds what the parsed events of refunds and of disputes have in common.

    Their payment is found by the payment intent, or by the charge if there is
    no payment intent.
    """

    payment_intent: str | None
    charge: str | None
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundsFact(ReversalFact):
    """Says which refunds of one charge were made, and which of them failed.

    Amounts are in minor units.
    https://docs.stripe.com/api/charges/object#charge_object-amount_refunded
    """

    name: ClassVar[str] = "refunds"
    refunded_minor: int = 0
    """The charge's ``amount_refunded``, or 0 if the event does not have it.
    Stripe lowers it when a refund fails.
    """
    failed: Mapping[str, int] = field(default_factory=dict)
    """The amounts, by refund id, of refunds that failed or were canceled. They
    count as never made.
    """
    standing: Mapping[str, int] = field(default_factory=dict)
    """The amounts, by refund id, of refunds that were not undone."""
    needs_record: bool = False
    """True if only our stored payment can show that the event is ours, because
    the charge's metadata names no deployment.
    """
    payment_id: str = ""
    user_id: str = ""
    """The user in the charge's metadata, or "" if it has none of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeFact(ReversalFact):
    """Says what one Stripe event or API answer shows of a dispute.

    That is its amount, whether it is closed, and which money was moved:
    https://docs.stripe.com/api/disputes/object.
    """

    name: ClassVar[str] = "dispute"
    dispute_id: str
    amount: int
    opened: bool
    """True for a formal dispute, false for an inquiry (``warning_*``)."""
    closed: str
    """``won``, ``lost``, ``warning_closed``, ``prevented`` or "" while it is open."""
    transactions: Mapping[str, int]
    """The amounts, by balance transaction id, negative if money was withdrawn.
    Fees are not counted.
    """
    converted: bool = False
    """True if the transactions are in the account's settlement currency, and
    the dispute is in another one
    (https://docs.stripe.com/currencies/conversions).
    """


Fact = SessionFact | DeclinedFact | RefundsFact | DisputeFact
_BY_NAME: Mapping[str, type[Fact]] = {
    kind.name: kind
    for kind in (SessionFact, DeclinedFact, RefundsFact, DisputeFact)
}


def to_item(fact: Fact) -> dict[str, Any]:
    """Return a fact (a parsed Stripe event) as a dictionary.

    It can be stored or sent.
    """
    return {"fact": fact.name, **asdict(fact)}


def from_item(item: Mapping[str, Any]) -> Fact:
    """Return the fact (a parsed Stripe event) in a dictionary.

    ``to_item`` made the dictionary. Raises KeyError or TypeError for other
    data.
    """
    kind = _BY_NAME[item["fact"]]
    return kind(**known(kind, item))


def known(kind: type, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return those members of ``item`` that the dataclass ``kind`` has.

    Members that a newer version wrote are ignored, so that rolling back stays possible.
    """
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in item.items() if name in names}
