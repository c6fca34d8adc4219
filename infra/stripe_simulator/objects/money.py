"""Money in and out, as Stripe's objects with all the keys they have in the pinned version: charges, refunds, disputes, balance rows."""

from typing import Any, Final

from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.store import Store, Thing

DISPUTE_FEE_MINOR: Final = 1500
"""15.00 USD per dispute; a won one gives it back. https://stripe.com/pricing"""
DISPUTE_DAYS: Final = 7
ASKED_DAYS: Final = 45
"""https://docs.stripe.com/payments/customer-balance/refunding"""
_CHARGE_NULLS: Final = (
    *(
        "application",
        "application_fee",
        "application_fee_amount",
        "balance_transaction",
        "customer",
        "description",
    ),
    *(
        "failure_balance_transaction",
        "failure_code",
        "failure_message",
        "on_behalf_of",
        "receipt_email",
        "receipt_number",
        "review",
    ),
    *(
        "shipping",
        "source",
        "source_transfer",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_data",
        "transfer_group",
    ),
)
_CARD_NULLS: Final = (
    *(
        "amount_authorized",
        "authorization_code",
        "extended_authorization",
        "incremental_authorization",
        "installments",
        "mandate",
    ),
    *(
        "multicapture",
        "network_transaction_id",
        "overcapture",
        "regulated_status",
        "three_d_secure",
        "transaction_link_id",
        "wallet",
    ),
)
_EVIDENCE: Final = (
    *(
        "access_activity_log",
        "billing_address",
        "cancellation_policy",
        "cancellation_policy_disclosure",
        "cancellation_rebuttal",
    ),
    *(
        "customer_communication",
        "customer_email_address",
        "customer_name",
        "customer_purchase_ip",
        "customer_signature",
    ),
    *(
        "duplicate_charge_documentation",
        "duplicate_charge_explanation",
        "duplicate_charge_id",
        "product_description",
        "receipt",
    ),
    *(
        "refund_policy",
        "refund_policy_disclosure",
        "refund_refusal_explanation",
        "service_date",
        "service_documentation",
    ),
    *(
        "shipping_address",
        "shipping_carrier",
        "shipping_date",
        "shipping_documentation",
        "shipping_tracking_number",
    ),
    *("uncategorized_file", "uncategorized_text"),
)
BALANCE_WORDS: Final = {
    "charge": ("payment", "charge"),
    "refund": ("refund", "refund"),
    "refund_failure": ("refund_failure", "refund_failure"),
    "dispute": ("adjustment", "dispute"),
    "dispute_reversal": ("adjustment", "dispute_reversal"),
}
"""A balance transaction's ``type`` and ``reporting_category``:
https://docs.stripe.com/reports/reporting-categories."""


def charge(store: Store, intent: Thing, base_url: str, method: str, status: str) -> Thing:
    """``succeeded``, ``pending`` or ``failed``.

    It takes the payment intent's metadata now, and no more later.
    """
    name, good = new_id("charge"), status == "succeeded"
    nowhere = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    return {
        "id": name,
        "object": "charge",
        **dict.fromkeys(_CHARGE_NULLS),
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if good else 0,
        "amount_refunded": 0,
        "billing_details": {
            "address": nowhere,
            "email": "buyer@example.com",
            "name": "Jenny Rosen",
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "TOPUP DEMO",
        "captured": good,
        "created": store.now(),
        "currency": intent["currency"],
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "outcome": _outcome(status),
        "paid": good,
        "payment_intent": intent["id"],
        "payment_method": new_id("payment_method"),
        "payment_method_details": {
            "type": method,
            method: _card(good) if method == "card" else _bank(),
        },
        "receipt_url": f"{base_url}/receipts/{name}" if good else None,
        "refunded": False,
        "status": status,
    }


def _outcome(status: str) -> Thing:
    told = {
        "succeeded": ("approved_by_network", "Payment complete.", "authorized"),
        "pending": ("approved_by_network", "The payment is under way.", "authorized"),
        "failed": (
            "declined_by_network",
            "The bank did not return any further details with this decline.",
            "issuer_declined",
        ),
    }
    network, message, kind = told[status]
    nulls = dict.fromkeys(("advice_code", "network_advice_code", "network_decline_code"))
    reason = "generic_decline" if status == "failed" else None
    return {
        **nulls,
        "network_status": network,
        "reason": reason,
        "seller_message": message,
        "type": kind,
    }


def _card(good: bool) -> Thing:  # noqa: FBT001 - the one thing that differs
    checks = {
        "address_line1_check": None,
        "address_postal_code_check": None,
        "cvc_check": "pass" if good else None,
    }
    named = {
        "brand": "visa",
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "funding": "credit",
        "network": "visa",
    }
    marks = {
        "checks": checks,
        "fingerprint": "SimulatedPrint00",
        "last4": "4242" if good else "0002",
        "network_token": {"used": False},
    }
    return {**dict.fromkeys(_CARD_NULLS), **named, **marks}


def _bank() -> Thing:
    named = {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "last4": "6789",
    }
    marks = {
        "expected_debit_date": None,
        "fingerprint": "SimulatedPrint01",
        "mandate": None,
        "payment_reference": None,
    }
    return {**named, **marks, "routing_number": "110000000"}


def refund(store: Store, of: Thing, amount: int, asked: dict[str, Any], status: str) -> Thing:
    """Of a charge: https://docs.stripe.com/api/refunds/object."""
    nulls = (
        *(
            "balance_transaction",
            "customer",
            "customer_account",
            "payment_method",
            "reason",
            "receipt_number",
        ),
        *("source_transfer_reversal", "transfer_reversal"),
    )
    card = {
        "reference_status": "pending",
        "reference_type": "acquirer_reference_number",
        "type": "refund",
    }
    to_card = {"card": card, "type": "card"}
    to_bank = {
        "type": "us_bank_transfer",
        "us_bank_transfer": {"reference": None, "reference_status": "pending"},
    }
    return {
        "id": new_id("refund"),
        "object": "refund",
        **dict.fromkeys(nulls),
        "amount": amount,
        "charge": of["id"],
        "created": store.now(),
        "currency": of["currency"],
        "destination_details": to_card
        if of["payment_method_details"]["type"] == "card"
        else to_bank,
        "metadata": {},
        "payment_intent": of["payment_intent"],
        "status": status,
        **({"pending_reason": "processing"} if status == "pending" else {}),
        **(
            {"next_action": _asks_the_customer(store, asked)} if status == "requires_action" else {}
        ),
        **{key: asked[key] for key in ("instructions_email", "metadata", "reason") if key in asked},
    }


def _asks_the_customer(store: Store, asked: dict[str, Any]) -> Thing:
    """https://docs.stripe.com/api/refunds/object#refund_object-next_action."""
    sent = {"email_sent_at": store.now(), "email_sent_to": asked["instructions_email"]}
    details = {"email_sent": sent, "expires_at": store.now() + ASKED_DAYS * 86400}
    return {"display_details": details, "type": "display_details"}


def dispute(store: Store, of: Thing, amount: int, status: str) -> Thing:
    """Of a charge; money moves later: https://docs.stripe.com/api/disputes/object."""
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
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
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
    """A balance transaction of ``amount`` for ``source``: https://docs.stripe.com/api/balance_transactions/object."""
    kind, category = BALANCE_WORDS[word]
    told = "Dispute fee" if word.startswith("dispute") else "Stripe processing fees"
    fees = [
        {
            "amount": fee,
            "application": None,
            "currency": source["currency"],
            "description": told,
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
    """Its signing secret is kept elsewhere: https://docs.stripe.com/api/webhook_endpoints/object."""
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
