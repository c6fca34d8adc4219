"""Stripe's objects with all the keys they have in the pinned API version, made from what was asked."""

from typing import Any, Final

from infra.local.simulator.drawers import Drawers, Thing, new_id

SESSION_SECONDS: Final = 24 * 3600
_ADDRESS: Final = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def session(drawers: Drawers, asked: dict[str, Any], base_url: str) -> Thing:
    """A Checkout Session in payment mode. https://docs.stripe.com/api/checkout/sessions/object"""
    name, now = new_id("checkout.session"), drawers.now()
    items = asked["line_items"]
    total = sum(row["price_data"]["unit_amount"] * row.get("quantity", 1) for row in items)
    nulls = (
        *("after_expiration", "billing_address_collection", "client_secret", "consent", "consent_collection", "currency_conversion"),
        *("customer", "customer_account", "customer_details", "invoice", "payment_intent", "payment_link", "recovered_from"),
        *("saved_payment_method_options", "setup_intent", "shipping_address_collection", "shipping_cost", "submit_type", "subscription"),
        *("collected_information", "permissions", "wallet_options", "origin_context", "integration_identifier", "managed_payments"),
        "payment_method_configuration_details",
    )
    texts = dict.fromkeys(("after_submit", "shipping_address", "submit", "terms_of_service_acceptance"))
    tax = asked.get("automatic_tax", {}).get("enabled", False)
    return {
        "id": name,
        "object": "checkout.session",
        **dict.fromkeys(nulls),
        "adaptive_pricing": {"enabled": asked.get("adaptive_pricing", {}).get("enabled", True)},
        "allow_promotion_codes": asked.get("allow_promotion_codes"),
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": tax, "liability": None, "provider": None, "status": None},
        "cancel_url": asked.get("cancel_url"),
        "client_reference_id": asked.get("client_reference_id"),
        "created": now,
        "currency": items[0]["price_data"]["currency"],
        "custom_fields": [],
        "custom_text": texts,
        "customer_creation": "if_required",
        "customer_email": asked.get("customer_email"),
        "discounts": [],
        "expires_at": asked.get("expires_at", now + SESSION_SECONDS),
        "invoice_creation": _invoice_creation(asked),
        "livemode": False,
        "locale": asked.get("locale"),
        "metadata": asked.get("metadata", {}),
        "mode": "payment",
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "payment_method_types": asked.get("payment_method_types", ["card"]),
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "success_url": asked.get("success_url"),
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{base_url}/c/pay/{name}",
    }


def line_item(drawers: Drawers, row: dict[str, Any]) -> Thing:
    """https://docs.stripe.com/api/checkout/sessions/line_items"""
    data, quantity = row["price_data"], row.get("quantity", 1)
    total = data["unit_amount"] * quantity
    price = {
        **{"id": new_id("price"), "object": "price", "active": False, "billing_scheme": "per_unit", "created": drawers.now()},
        **{"currency": data["currency"], "custom_unit_amount": None, "livemode": False, "lookup_key": None, "metadata": {}},
        **{"nickname": None, "product": new_id("product"), "recurring": None, "tax_behavior": "unspecified", "tiers_mode": None},
        **{
            "transform_quantity": None,
            "type": "one_time",
            "unit_amount": data["unit_amount"],
            "unit_amount_decimal": str(data["unit_amount"]),
        },
    }
    amounts = {"amount_discount": 0, "amount_subtotal": total, "amount_tax": 0, "amount_total": total}
    named = {"currency": data["currency"], "description": data["product_data"]["name"], "price": price, "quantity": quantity}
    return {"id": new_id("item"), "object": "item", **amounts, **named, "metadata": {}, "adjustable_quantity": None}


def payment_intent(drawers: Drawers, session: Thing, metadata: dict[str, str]) -> Thing:
    """https://docs.stripe.com/api/payment_intents/object"""
    name = new_id("payment_intent")
    nulls = (
        *("application", "application_fee_amount", "canceled_at", "cancellation_reason", "customer", "customer_account", "description"),
        *("excluded_payment_method_types", "last_payment_error", "latest_charge", "managed_payments", "next_action", "on_behalf_of"),
        *("payment_method", "payment_method_configuration_details", "processing", "receipt_email", "review", "setup_future_usage"),
        *("shipping", "source", "statement_descriptor", "statement_descriptor_suffix", "transfer_data", "transfer_group"),
        "automatic_payment_methods",
    )
    return {
        "id": name,
        "object": "payment_intent",
        **dict.fromkeys(nulls),
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": f"{name}_secret_simulated",
        "confirmation_method": "automatic",
        "created": drawers.now(),
        "currency": session["currency"],
        "livemode": False,
        "metadata": metadata,
        "payment_method_options": {},
        "payment_method_types": session["payment_method_types"],
        "status": "requires_payment_method",
    }


def charge(drawers: Drawers, intent: Thing, base_url: str) -> Thing:
    """A succeeded charge; it takes the payment intent's metadata when it is made. https://docs.stripe.com/api/charges/object"""
    name = new_id("charge")
    nulls = (
        *("application", "application_fee", "application_fee_amount", "customer", "description", "failure_balance_transaction"),
        *("failure_code", "failure_message", "on_behalf_of", "payment_method", "receipt_email", "receipt_number", "review", "shipping"),
        *("source", "source_transfer", "statement_descriptor", "statement_descriptor_suffix", "transfer_data", "transfer_group"),
    )
    card = {"brand": "visa", "country": "US", "exp_month": 12, "exp_year": 2034, "funding": "credit", "last4": "4242", "network": "visa"}
    outcome = dict.fromkeys(("advice_code", "network_advice_code", "network_decline_code", "reason"))
    return {
        "id": name,
        "object": "charge",
        **dict.fromkeys(nulls),
        "amount": intent["amount"],
        "amount_captured": intent["amount"],
        "amount_refunded": 0,
        "balance_transaction": new_id("balance_transaction"),
        "billing_details": {"address": dict(_ADDRESS), "email": None, "name": None, "phone": None, "tax_id": None},
        "calculated_statement_descriptor": "TOPUP DEMO",
        "captured": True,
        "created": drawers.now(),
        "currency": intent["currency"],
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "outcome": {**outcome, "network_status": "approved_by_network", "seller_message": "Payment complete.", "type": "authorized"},
        "paid": True,
        "payment_intent": intent["id"],
        "payment_method_details": {"card": card, "type": "card"},
        "receipt_url": f"{base_url}/receipts/{name}",
        "refunded": False,
        "status": "succeeded",
    }


def refund(drawers: Drawers, charge: Thing, amount: int, asked: dict[str, Any], status: str) -> Thing:
    """https://docs.stripe.com/api/refunds/object"""
    nulls = ("customer", "customer_account", "payment_method", "receipt_number", "source_transfer_reversal", "transfer_reversal")
    return {
        "id": new_id("refund"),
        "object": "refund",
        **dict.fromkeys(nulls),
        "amount": amount,
        "balance_transaction": new_id("balance_transaction"),
        "charge": charge["id"],
        "created": drawers.now(),
        "currency": charge["currency"],
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": asked.get("metadata", {}),
        "payment_intent": charge["payment_intent"],
        "reason": asked.get("reason"),
        "status": status,
    }


def dispute(drawers: Drawers, charge: Thing, amount: int, status: str) -> Thing:
    """https://docs.stripe.com/api/disputes/object"""
    evidence = (
        *("access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure", "cancellation_rebuttal"),
        *("customer_communication", "customer_email_address", "customer_name", "customer_purchase_ip", "customer_signature"),
        *("duplicate_charge_documentation", "duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt"),
        *("refund_policy", "refund_policy_disclosure", "refund_refusal_explanation", "service_date", "service_documentation"),
        *("shipping_address", "shipping_carrier", "shipping_date", "shipping_documentation", "shipping_tracking_number"),
        *("uncategorized_file", "uncategorized_text"),
    )
    due = {"due_by": drawers.now() + 7 * 86400, "has_evidence": False, "past_due": False, "submission_count": 0, "enhanced_eligibility": {}}
    kind = "inquiry" if status.startswith("warning") else "chargeback"
    card = {"brand": "visa", "case_type": kind, "network": "visa", "network_reason_code": "10.4"}
    return {
        "id": new_id("dispute"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": drawers.now(),
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(evidence), "enhanced_evidence": {}},
        "evidence_details": due,
        "is_charge_refundable": kind == "inquiry",
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {"card": card, "type": "card"},
        "reason": "general",
        "status": status,
    }


def balance_transaction(drawers: Drawers, dispute: Thing, amount: int) -> Thing:
    """Money going out for a dispute, or coming back. https://docs.stripe.com/api/balance_transactions/object"""
    fee = 1500 if amount < 0 else -1500
    word = "dispute" if amount < 0 else "dispute_reversal"
    row = {"amount": fee, "application": None, "currency": dispute["currency"], "description": "Dispute fee", "type": "stripe_fee"}
    return {
        **{"id": new_id("balance_transaction"), "object": "balance_transaction", "amount": amount, "available_on": drawers.now()},
        **{
            "balance_type": "payments",
            "created": drawers.now(),
            "currency": dispute["currency"],
            "description": f"{word} for {dispute['charge']}",
        },
        **{"exchange_rate": None, "fee": fee, "fee_details": [row], "net": amount - fee, "reporting_category": word},
        **{"source": dispute["id"], "status": "available", "type": "adjustment"},
    }


def webhook_endpoint(drawers: Drawers, asked: dict[str, Any]) -> Thing:
    """https://docs.stripe.com/api/webhook_endpoints/object"""
    named = {"api_version": asked.get("api_version"), "description": asked.get("description"), "metadata": asked.get("metadata", {})}
    rest = {"application": None, "created": drawers.now(), "livemode": False, "status": "enabled"}
    return {
        "id": new_id("webhook_endpoint"),
        "object": "webhook_endpoint",
        "url": asked["url"],
        "enabled_events": asked["enabled_events"],
        **named,
        **rest,
    }


def _invoice_creation(asked: dict[str, Any]) -> Thing:
    nulls = ("account_tax_ids", "custom_fields", "description", "footer", "issuer", "rendering_options")
    enabled = asked.get("invoice_creation", {}).get("enabled", False)
    return {"enabled": enabled, "invoice_data": {**dict.fromkeys(nulls), "metadata": {}}}
