"""Builds refunds, disputes, balance transactions and webhook endpoints."""

from typing import Any, Final

from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.objects.attributes import (
    EVIDENCE,
    REFUND_NULLS,
)
from infra.stripe_simulator.store import Store, Thing

DISPUTE_FEE_MINOR: Final = 1500
"""15.00 USD for each dispute, returned if it is won. https://stripe.com/pricing"""
DISPUTE_DAYS: Final = 7
INSTRUCTIONS_DAYS: Final = 45
"""For how many days the customer can enter the bank details for a refund.
https://docs.stripe.com/payments/customer-balance/refunding
"""
BALANCE_WORDS: Final = {
    "charge": ("payment", "charge"),
    "refund": ("refund", "refund"),
    "refund_failure": ("refund_failure", "refund_failure"),
    "dispute": ("adjustment", "dispute"),
    "dispute_reversal": ("adjustment", "dispute_reversal"),
}
"""The ``type`` and ``reporting_category`` of a balance transaction, by what caused it:
https://docs.stripe.com/reports/reporting-categories.
"""


def refund(store: Store, of: Thing, amount: int, asked: dict[str, Any], status: str) -> Thing:
    """Return a new refund of the charge ``of``. It is not stored yet.

    ``asked`` are the parameters of the request, and ``status`` is the refund's status.
    https://docs.stripe.com/api/refunds/object
    """
    card = {
        "reference_status": "pending",
        "reference_type": "acquirer_reference_number",
        "type": "refund",
    }
    is_card = of["payment_method_details"]["type"] == "card"
    to_card = {"card": card, "type": "card"}
    to_bank = {
        "type": "us_bank_transfer",
        "us_bank_transfer": {"reference": None, "reference_status": "pending"},
    }
    return {
        "id": new_id("refund"),
        "object": "refund",
        **dict.fromkeys(REFUND_NULLS),
        "amount": amount,
        "charge": of["id"],
        "created": store.now(),
        "currency": of["currency"],
        "destination_details": to_card if is_card else to_bank,
        "metadata": {},
        "payment_intent": of["payment_intent"],
        "status": status,
        **_state_details(store, asked, status),
        **{key: asked[key] for key in ("instructions_email", "metadata", "reason") if key in asked},
    }


def _state_details(store: Store, asked: dict[str, Any], status: str) -> Thing:
    if status == "pending":
        return {"pending_reason": "processing"}
    if status == "requires_action":
        return {"next_action": _instructions(store, asked)}
    return {}


def _instructions(store: Store, asked: dict[str, Any]) -> Thing:
    """Return the attribute ``next_action`` of a refund that waits for bank details.

    It says when Stripe mailed the customer, and until when the customer can answer.
    https://docs.stripe.com/api/refunds/object#refund_object-next_action
    """
    sent = {"email_sent_at": store.now(), "email_sent_to": asked["instructions_email"]}
    details = {"email_sent": sent, "expires_at": store.now() + INSTRUCTIONS_DAYS * 86400}
    return {"display_details": details, "type": "display_details"}


def dispute(store: Store, of: Thing, amount: int, status: str) -> Thing:
    """Return a new dispute of the charge ``of``. No money is withdrawn yet.

    https://docs.stripe.com/api/disputes/object
    """
    kind = "inquiry" if status.startswith("warning") else "chargeback"
    due: Thing = {
        "due_by": store.now() + DISPUTE_DAYS * 86400,
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
    }
    due["submission_method"] = "not_submitted"
    card = {"brand": "visa", "case_type": kind, "network": "visa", "network_reason_code": "10.4"}
    return {
        "id": new_id("dispute"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": of["id"],
        "created": store.now(),
        "currency": of["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {**due, "enhanced_eligibility": {}},
        "is_charge_refundable": kind == "inquiry",
        "livemode": False,
        "metadata": {},
        "payment_intent": of["payment_intent"],
        "payment_method_details": {"card": card, "type": "card"},
        "reason": "general",
        "status": status,
    }


def balance_row(store: Store, source: Thing, amount: int, word: str, fee: int = 0) -> Thing:
    """Return a new balance transaction of ``amount`` for ``source``.

    ``word`` is what caused it, a key of BALANCE_WORDS.
    https://docs.stripe.com/api/balance_transactions/object
    """
    kind, category = BALANCE_WORDS[word]
    name = "Dispute fee" if word.startswith("dispute") else "Stripe processing fees"
    fees = [
        {
            "amount": fee,
            "application": None,
            "currency": source["currency"],
            "description": name,
            "type": "stripe_fee",
        }
    ]
    return {
        "id": new_id("balance_transaction"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": store.now(),
        "balance_type": "payments",
        "created": store.now(),
        "currency": source["currency"],
        "description": f"{category} of {source['id']}",
        "exchange_rate": None,
        "fee": fee,
        "fee_details": fees if fee else [],
        "net": amount - fee,
        "reporting_category": category,
        "source": source["id"],
        "status": "available",
        "type": kind,
    }


def webhook_endpoint(store: Store, asked: dict[str, Any]) -> Thing:
    """Return a new webhook endpoint. Its signing secret is stored elsewhere.

    https://docs.stripe.com/api/webhook_endpoints/object
    """
    return {
        "id": new_id("webhook_endpoint"),
        "object": "webhook_endpoint",
        "api_version": asked.get("api_version"),
        "application": None,
        "created": store.now(),
        "description": asked.get("description") or None,
        "enabled_events": asked["enabled_events"],
        "livemode": False,
        "metadata": asked.get("metadata") or {},
        "status": "enabled",
        "url": asked["url"],
    }
