"""Builds whole objects as Stripe sends them: every member of the typed class, null where nothing is
said. Ids are made up.

tests/support/builders.py has the small ones, of the members that the product reads.
"""

from typing import Any, Final

import stripe
from billing.payments.payment import Payment
from support import builders
from support.typed import Kind, whole

CREATED: Final = 1767323045
ADDRESS: Final = {
    "city": None,
    "country": "DE",
    "line1": None,
    "line2": None,
    "postal_code": "10115",
    "state": None,
}
LIABILITY: Final = {"type": "self"}
NO_TAX: Final = {"enabled": False, "liability": None, "provider": None, "status": None}
TAXED: Final = {"enabled": True, "liability": LIABILITY, "provider": "stripe", "status": "complete"}
NO_TEXT: Final = dict.fromkeys(
    ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
)
PARTS: Final[dict[str, Kind]] = {
    "checkout.session": stripe.checkout.Session,
    "payment_intent": stripe.PaymentIntent,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
    "dispute": stripe.Dispute,
    "balance_transaction": stripe.BalanceTransaction,
    "customer": stripe.Customer,
    "radar.early_fraud_warning": stripe.radar.EarlyFraudWarning,
    "event": stripe.Event,
}
"""The typed class of each object that is built here."""


def event(kind: str, subject: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return an event about an object."""
    request = {"id": "req_made_up", "idempotency_key": None}
    small = builders.event(kind, subject)
    return whole(
        stripe.Event,
        **{
            **small,
            "data": {"object": subject, "previous_attributes": None},
            "request": request,
            **members,
        },
    )


def session(payment: Payment, **members: Any) -> dict[str, Any]:
    """Return a Checkout Session of this payment, paid by card."""
    needed: dict[str, Any] = {
        "adaptive_pricing": {"enabled": True},
        "automatic_tax": NO_TAX,
        "custom_fields": [],
        "custom_text": NO_TEXT,
        "customer_details": customer_details(),
        "expires_at": CREATED + 86_400,
        "payment_method_types": ["card"],
        "shipping_options": [],
        "success_url": "https://shop.example.com/?session_id={CHECKOUT_SESSION_ID}",
        "total_details": totals(),
        "ui_mode": "hosted_page",
    }
    return whole(stripe.checkout.Session, **{**needed, **builders.session(payment), **members})


def customer_details() -> dict[str, Any]:
    """Return what a buyer typed."""
    return {
        **dict.fromkeys(("business_name", "individual_name", "phone")),
        "address": ADDRESS,
        "email": "buyer@example.com",
        "name": "A. Buyer",
        "tax_exempt": "none",
        "tax_ids": [],
    }


def totals(discount: int = 0, tax: int = 0) -> dict[str, Any]:
    """Return the parts of a total."""
    return {"amount_discount": discount, "amount_shipping": 0, "amount_tax": tax, "breakdown": None}


def intent(payment: Payment, **members: Any) -> dict[str, Any]:
    """Return the payment intent of this payment, succeeded."""
    made = {
        "id": builders.intent_of(payment),
        "amount": payment.amount_minor,
        "amount_capturable": 0,
        "amount_received": payment.amount_minor,
        "capture_method": "automatic_async",
        "confirmation_method": "automatic",
        "created": CREATED,
        "currency": payment.currency,
        "latest_charge": builders.charge_of(payment),
        "livemode": False,
        "metadata": builders.metadata(payment),
        "payment_method_types": ["card"],
        "status": "succeeded",
    }
    return whole(stripe.PaymentIntent, **{**made, **members})


def declined(payment: Payment, **members: Any) -> dict[str, Any]:
    """Return the payment intent after a declined try."""
    error = {
        **dict.fromkeys(
            (
                "param",
                "payment_intent",
                "payment_method",
                "setup_intent",
                "source",
                "request_log_url",
            )
        ),
        "advice_code": "try_again_later",
        "charge": builders.charge_of(payment),
        "code": "card_declined",
        "decline_code": "insufficient_funds",
        "doc_url": "https://docs.stripe.com/error-codes/card-declined",
        "message": "Your card has insufficient funds.",
        "type": "card_error",
    }
    waiting = {
        "status": "requires_payment_method",
        "amount_received": 0,
        "last_payment_error": error,
    }
    return intent(payment, **{**waiting, **members})


def charge(payment: Payment, refunded: int, **members: Any) -> dict[str, Any]:
    """Return the charge of this payment after so much was refunded."""
    made = {
        "id": builders.charge_of(payment),
        "amount": payment.amount_minor,
        "amount_captured": payment.amount_minor,
        "amount_refunded": refunded,
        "billing_details": {
            "address": ADDRESS,
            **dict.fromkeys(("email", "name", "phone", "tax_id")),
        },
        "captured": True,
        "created": CREATED,
        "currency": payment.currency,
        "disputed": False,
        "livemode": False,
        "metadata": builders.metadata(payment),
        "paid": True,
        "payment_intent": builders.intent_of(payment),
        "refunded": refunded == payment.amount_minor,
        "status": "succeeded",
    }
    return whole(stripe.Charge, **{**made, **members})


def refund(
    payment: Payment, refund_id: str, amount: int, status: str, **members: Any
) -> dict[str, Any]:
    """Return a refund of this payment."""
    made = {
        "id": refund_id,
        "amount": amount,
        "charge": builders.charge_of(payment),
        "created": CREATED,
        "currency": payment.currency,
        "metadata": {},
        "payment_intent": builders.intent_of(payment),
        "reason": "requested_by_customer",
        "status": status,
    }
    return whole(stripe.Refund, **{**made, **members})


def old_refunds(payment: Payment, *amounts: int) -> dict[str, Any]:
    """Return the list that a charge carried until 2022-11-15.

    https://docs.stripe.com/changelog/2022-11-15/deprecates-charges-auto-expand
    """
    rows = [
        refund(payment, f"re_{number}", amount, "succeeded")
        for number, amount in enumerate(amounts)
    ]
    url = f"/v1/charges/{builders.charge_of(payment)}/refunds"
    return {"object": "list", "data": rows, "has_more": False, "url": url}


def transaction(number: int, amount: int, currency: str, fee: int = 1500) -> dict[str, Any]:
    """Return a balance transaction of a dispute: negative when money went out."""
    made = {
        "id": f"txn_{number}",
        "amount": amount,
        "available_on": CREATED,
        "balance_type": "payments",
        "created": CREATED,
        "currency": currency,
        "fee": fee,
        "fee_details": [],
        "net": amount - fee,
        "reporting_category": "dispute",
        "status": "available",
        "type": "adjustment",
    }
    return whole(stripe.BalanceTransaction, **made)


def dispute(
    payment: Payment, status: str, *amounts: int, currency: str = "", **members: Any
) -> dict[str, Any]:
    """Return a dispute of this payment with these balance transactions, in the currency of the
    seller's account.
    """
    rows = [
        transaction(number, amount, currency or payment.currency)
        for number, amount in enumerate(amounts)
    ]
    open_until = {
        "due_by": None,
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
        "submission_method": "not_submitted",
    }
    made = {
        "id": "du_1",
        "amount": payment.amount_minor,
        "balance_transactions": rows,
        "charge": builders.charge_of(payment),
        "created": CREATED,
        "currency": payment.currency,
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys(stripe.Dispute.Evidence.__annotations__)
        | {"enhanced_evidence": {}},
        "evidence_details": {**open_until, "enhanced_eligibility": {}},
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": builders.intent_of(payment),
        "reason": "fraudulent",
        "status": status,
    }
    return whole(stripe.Dispute, **{**made, **members})


def customer(**members: Any) -> dict[str, Any]:
    """Return a customer of the seller's."""
    made = {
        "id": "cus_1",
        "created": CREATED,
        "livemode": False,
        "metadata": {},
        "email": "buyer@example.com",
    }
    return whole(stripe.Customer, **{**made, **members})


def warning(payment: Payment) -> dict[str, Any]:
    """Return an issuer's early fraud warning about this payment's charge."""
    made = {
        "id": "issfr_1",
        "actionable": True,
        "created": CREATED,
        "fraud_type": "made_with_stolen_card",
        "livemode": False,
    }
    found = {"charge": builders.charge_of(payment), "payment_intent": builders.intent_of(payment)}
    return whole(stripe.radar.EarlyFraudWarning, **made, **found)


def thin(kind: str = "v2.core.account.updated") -> dict[str, Any]:
    """Return a thin event of the v2 API: no object, an address.

    https://docs.stripe.com/event-destinations#benefits-of-thin-events
    """
    related = {"id": "acct_1", "type": "v2.core.account", "url": "/v2/core/accounts/acct_1"}
    made = {
        "id": "evt_test_1",
        "object": "v2.core.event",
        "type": kind,
        "livemode": False,
        "created": "2026-01-02T03:04:05.000Z",
    }
    return {**made, "context": None, "reason": None, "related_object": related}
