"""Builders of what Stripe sends: small, whole, with our metadata by default.

Times and ids are made up.
"""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from billing.books import Books, NoOutbox
from billing.buying.session_params import Shop
from billing.clock import stamp
from billing.facts import Fact
from billing.payments.payment import Payment
from billing.payments.plan import Plan
from billing.payments.plans import catalogue
from billing.settings import Ours, Telling
from billing.storage.keys import user_key
from billing.storage.writes import Write, creates
from billing.stripe_api.events import parse

STACK = "topup-test"
DEPLOYMENT = "dep_test"
SHOP = Shop(
    "https://shop.example.com",
    STACK,
    DEPLOYMENT,
    allow_promotion_codes=False,
    automatic_tax=False,
    invoice_creation=False,
)


class Fixed:
    """A deployment whose id needs no table."""

    def __init__(self, name: str = DEPLOYMENT) -> None:
        """Our metadata by default."""
        self.name = name

    def id(self) -> str:
        """For new metadata."""
        return self.name

    def known(self) -> str:
        """The same."""
        return self.name

    def wrote(self, deployment: str) -> bool:
        """Whether it is this one's."""
        return deployment == self.name

    def keep(self) -> None:
        """Nothing can be lost."""


OURS = Ours(livemode=False, deployment=Fixed())
OFF = Telling()
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_numbers = itertools.count(1)


def renumber(first: int = 1) -> None:
    """Number sessions and events from one again, or from ``first``."""
    global _numbers  # noqa: PLW0603 - a counter of this module alone
    _numbers = itertools.count(first)


class Clock:
    """A clock that tests advance."""

    def __init__(self) -> None:
        """Begin at START."""
        self.now = START

    def __call__(self) -> datetime:
        """A microsecond passes with every look."""
        self.now += timedelta(microseconds=1)
        return self.now

    def advance(self, **duration: int) -> None:
        """For example ``advance(hours=1)``."""
        self.now += timedelta(**duration)


class Still(Clock):
    """A clock that goes on only when it is told to, however often it is looked at."""

    def __call__(self) -> datetime:
        """The same moment."""
        return self.now


def books_on(
    store: Any,
    policy: str = "debt",
    clock: Clock | None = None,
    deployment: Any = OURS.deployment,
    telling: Telling = OFF,
) -> Books:
    """Books of the test stack on any store. No events go out, unless told otherwise."""
    ours = Ours(livemode=False, deployment=deployment)
    return Books(store, clock or Clock(), ours, policy, NoOutbox(), telling)  # type: ignore[arg-type]


def pending(  # noqa: PLR0917 - what a story tells of a payment
    books: Books,
    user_id: str = "alice",
    plan: str = "starter",
    payment_id: str = "",
    session_id: str = "",
    sold: Plan | None = None,
) -> Payment:
    """A payment recorded as checkout does, with its session attached.

    ``sold``: a plan that is not in the catalogue.
    """
    number = next(_numbers)
    payment = Payment.of(
        sold or catalogue()[plan], payment_id or f"pay_{number:08d}", user_id, stamp(START)
    )
    item = {**payment.to_item(), "session_id": session_id or f"cs_test_{number}"}
    books.store.commit(
        creates("payments", (user_key(user_id), payment.payment_id), item),
        creates(
            "payments", (user_key(user_id), item["session_id"]), {"payment_id": payment.payment_id}
        ),
    )
    return Payment.from_item(item)


def automatic(books: Books, user_id: str = "alice", plan: str = "starter") -> Payment:
    """The payment of an automatic charge, recorded before Stripe is called."""
    payment_id = f"pay_{next(_numbers):08d}"
    payment = Payment.of(catalogue()[plan], payment_id, user_id, stamp(START))
    key = (user_key(user_id), payment.payment_id)
    books.store.commit(creates("payments", key, payment.to_item()))
    return payment


def metadata(payment: Payment) -> dict[str, str]:
    """What checkout puts on the session and on its payment intent."""
    claims = {"payment_id": payment.payment_id, "user_id": payment.user_id, "plan": payment.plan}
    if payment.expires_after_days:
        claims["expires_after_days"] = str(payment.expires_after_days)
    return {**claims, "quota": str(payment.quota), "stack": STACK, "deployment": DEPLOYMENT}


def old_metadata(payment: Payment) -> dict[str, str]:
    """What checkout put there before deployments had ids."""
    return {name: value for name, value in metadata(payment).items() if name != "deployment"}


def intent_of(payment: Payment) -> str:
    """The payment intent's id in these stories."""
    return "pi_" + payment.payment_id.removeprefix("pay_")


def charge_of(payment: Payment) -> str:
    """The charge's id in these stories."""
    return "ch_" + payment.payment_id.removeprefix("pay_")


def intent(payment: Payment, status: str = "succeeded", **members: Any) -> dict[str, Any]:
    """The payment intent of an automatic charge."""
    whole = {
        "id": intent_of(payment),
        "object": "payment_intent",
        "amount": payment.amount_minor,
        "amount_received": payment.amount_minor if status == "succeeded" else 0,
        "created": 1767323045,
        "currency": payment.currency,
        "last_payment_error": None,
        "livemode": False,
        "metadata": {**metadata(payment), "automatic": "true"},
        "status": status,
    }
    return {**whole, **members}


def intent_event(payment: Payment, status: str = "succeeded", **members: Any) -> dict[str, Any]:
    """payment_intent.<status> of an automatic charge."""
    return event(f"payment_intent.{status}", intent(payment, status, **members))


def event(kind: str, subject: dict[str, Any], event_id: str = "", **members: Any) -> dict[str, Any]:
    """An event around an object."""
    number = next(_numbers)
    whole = {
        "id": event_id or f"evt_{number:08d}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1767323045 + number,
        "data": {"object": subject},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }
    return {**whole, **members}


def session(payment: Payment, **members: Any) -> dict[str, Any]:
    """A Checkout Session of this payment, paid by default."""
    whole = {
        "id": payment.session_id,
        "object": "checkout.session",
        "amount_subtotal": payment.amount_minor,
        "amount_total": payment.amount_minor,
        "created": 1767323045,
        "currency": payment.currency,
        "livemode": False,
        "metadata": metadata(payment),
        "mode": "payment",
        "payment_intent": intent_of(payment),
        "payment_status": "paid",
        "status": "complete",
    }
    return {**whole, **members}


def completed(payment: Payment, event_id: str = "", **members: Any) -> dict[str, Any]:
    """checkout.session.completed, paid."""
    return event("checkout.session.completed", session(payment, **members), event_id)


def completed_unpaid(payment: Payment) -> dict[str, Any]:
    """checkout.session.completed, the money still under way."""
    return event("checkout.session.completed", session(payment, payment_status="unpaid"))


def async_succeeded(payment: Payment) -> dict[str, Any]:
    """checkout.session.async_payment_succeeded."""
    return event("checkout.session.async_payment_succeeded", session(payment))


def async_failed(payment: Payment) -> dict[str, Any]:
    """checkout.session.async_payment_failed."""
    return event("checkout.session.async_payment_failed", session(payment, payment_status="unpaid"))


def expired(payment: Payment) -> dict[str, Any]:
    """checkout.session.expired."""
    return event(
        "checkout.session.expired",
        session(payment, payment_status="unpaid", status="expired", payment_intent=None),
    )


def declined(
    payment: Payment,
    code: str = "card_declined",
    decline_code: str | None = None,
    **members: Any,
) -> dict[str, Any]:
    """payment_intent.payment_failed. ``decline_code``: the issuer's reason, where it gives one."""
    error = {"code": code}
    if decline_code is not None:
        error["decline_code"] = decline_code
    subject = {
        "id": intent_of(payment),
        "object": "payment_intent",
        "metadata": metadata(payment),
        "last_payment_error": error,
    }
    return event("payment_intent.payment_failed", subject, **members)


def refunded(payment: Payment, cumulative: int) -> dict[str, Any]:
    """charge.refunded with a cumulative figure; the charge has the payment intent's metadata."""
    subject = {
        "id": charge_of(payment),
        "object": "charge",
        "amount": payment.amount_minor,
        "amount_refunded": cumulative,
        "currency": payment.currency,
        "metadata": metadata(payment),
        "payment_intent": intent_of(payment),
        "refunded": cumulative == payment.amount_minor,
    }
    return event("charge.refunded", subject)


def refund(
    payment: Payment,
    refund_id: str,
    amount: int,
    status: str = "failed",
    kind: str = "",
) -> dict[str, Any]:
    """refund.failed, or refund.updated for other states, or the event type ``kind``."""
    subject = {
        "id": refund_id,
        "object": "refund",
        "amount": amount,
        "charge": charge_of(payment),
        "currency": payment.currency,
        "payment_intent": intent_of(payment),
        "status": status,
    }
    return event(kind or ("refund.failed" if status == "failed" else "refund.updated"), subject)


def refund_created(payment: Payment, refund_id: str, amount: int) -> dict[str, Any]:
    """refund.created, of a refund that succeeded immediately."""
    return refund(payment, refund_id, amount, "succeeded", "refund.created")


def refund_made(
    payment: Payment,
    refund_id: str,
    amount: int,
    cumulative: int,
    status: str = "succeeded",
) -> list[dict[str, Any]]:
    """The events of a new refund. ``cumulative``: the charge's ``amount_refunded`` from then on.

    https://docs.stripe.com/changelog/acacia/2024-10-28/refund-webhook-update
    """
    made = refund(payment, refund_id, amount, status, "refund.created")
    return [made, refunded(payment, cumulative)]


def refund_changed(
    payment: Payment,
    refund_id: str,
    amount: int,
    status: str,
) -> list[dict[str, Any]]:
    """The events of a refund that enters another state: https://docs.stripe.com/api/refunds."""
    kinds = ["refund.updated", "charge.refund.updated"]
    if status == "failed":
        kinds.append("refund.failed")
    return [refund(payment, refund_id, amount, status, kind) for kind in kinds]


def balance(user_id: str, units: int) -> Write:
    """An account's row out of nothing: no books that balance."""
    return creates("quotas", (user_id, "quota"), {"total": units, "used": 0})


def dispute(
    payment: Payment,
    kind: str,
    status: str,
    *amounts: int,
    dispute_id: str = "du_1",
    amount: int = 0,
) -> dict[str, Any]:
    """charge.dispute.<kind>; ``amounts`` are its balance transactions so far, negative when money
    went out.
    """
    transactions = [
        {
            "id": f"txn_{dispute_id}_{number}",
            "amount": value,
            "currency": payment.currency,
            "fee": 1500,
            "net": value - 1500,
        }
        for number, value in enumerate(amounts)
    ]
    subject = {
        "id": dispute_id,
        "object": "dispute",
        "amount": amount or payment.amount_minor,
        "balance_transactions": transactions,
        "charge": charge_of(payment),
        "currency": payment.currency,
        "payment_intent": intent_of(payment),
        "status": status,
    }
    return event(f"charge.dispute.{kind}", subject)


def fact(source: dict[str, Any]) -> Fact:
    """The fact in an event of ours."""
    found = parse(source, OURS)
    assert not hasattr(found, "reason"), found
    return found
