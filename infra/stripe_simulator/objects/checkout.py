"""What a buyer meets, as Stripe's objects with all the keys they have in the pinned version: sessions, line items, payment intents."""

from typing import Any, Final

from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.store import Store, Thing

SESSION_SECONDS: Final = 24 * 3600
_SESSION_NULLS: Final = (
    *(
        "after_expiration",
        "billing_address_collection",
        "client_secret",
        "collected_information",
        "consent",
        "consent_collection",
    ),
    *(
        "currency_conversion",
        "customer",
        "customer_account",
        "customer_details",
        "invoice",
        "managed_payments",
        "origin_context",
    ),
    *(
        "payment_intent",
        "payment_link",
        "payment_method_configuration_details",
        "permissions",
        "recovered_from",
    ),
    *(
        "saved_payment_method_options",
        "setup_intent",
        "shipping_address_collection",
        "shipping_cost",
        "submit_type",
        "subscription",
    ),
    *(
        "integration_identifier",
        "wallet_options",
        "allow_promotion_codes",
        "allowed_payment_method_types",
    ),
    *(
        "excluded_payment_method_types",
        "cancel_url",
        "client_reference_id",
        "customer_email",
        "locale",
        "success_url",
    ),
)
_ECHOED: Final = (
    *(
        "allow_promotion_codes",
        "allowed_payment_method_types",
        "billing_address_collection",
        "cancel_url",
        "client_reference_id",
    ),
    *(
        "consent_collection",
        "custom_fields",
        "customer_creation",
        "customer_email",
        "excluded_payment_method_types",
        "expires_at",
    ),
    *(
        "integration_identifier",
        "locale",
        "metadata",
        "origin_context",
        "payment_method_collection",
        "payment_method_options",
    ),
    *("permissions", "shipping_address_collection", "submit_type", "success_url", "wallet_options"),
)
"""Parameters that the object shows as they were given."""
_MERGED: Final = (
    "adaptive_pricing",
    "automatic_tax",
    "custom_text",
    "phone_number_collection",
    "invoice_creation",
)
_INTENT_NULLS: Final = (
    *(
        "application",
        "application_fee_amount",
        "automatic_payment_methods",
        "canceled_at",
        "cancellation_reason",
        "customer",
    ),
    *(
        "customer_account",
        "description",
        "excluded_payment_method_types",
        "last_payment_error",
        "latest_charge",
        "managed_payments",
    ),
    *(
        "next_action",
        "on_behalf_of",
        "payment_method",
        "payment_method_configuration_details",
        "processing",
        "receipt_email",
        "review",
    ),
    *(
        "setup_future_usage",
        "shipping",
        "source",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_data",
    ),
    "transfer_group",
)
_INTENT_ECHOED: Final = (
    "description",
    "metadata",
    "receipt_email",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
)


def session(store: Store, asked: dict[str, Any], base_url: str) -> Thing:
    """A Checkout Session in payment mode: https://docs.stripe.com/api/checkout/sessions/object."""
    name, now = new_id("checkout.session"), store.now()
    items = asked["line_items"]
    total = sum(row["price_data"]["unit_amount"] * row["quantity"] for row in items)
    made: Thing = {
        "id": name,
        "object": "checkout.session",
        **dict.fromkeys(_SESSION_NULLS),
        "amount_subtotal": total,
        "amount_total": total,
        "created": now,
        "currency": items[0]["price_data"]["currency"],
        "custom_fields": [],
        "customer_creation": "if_required",
        "discounts": [],
        "expires_at": now + SESSION_SECONDS,
        "livemode": False,
        "metadata": {},
        "mode": "payment",
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "payment_method_types": asked.get(
            "allowed_payment_method_types", ["card", "us_bank_account"]
        ),
        "payment_status": "unpaid",
        "shipping_options": [],
        "status": "open",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{base_url}/c/pay/{name}",
        **_usual(),
        **{key: asked[key] for key in _ECHOED if key in asked},
    }
    return {**made, **{key: {**made[key], **asked[key]} for key in _MERGED if key in asked}}


def _usual() -> Thing:
    """The nested settings as they stand when nobody asks for anything else."""
    invoice_nulls = (
        "account_tax_ids",
        "custom_fields",
        "description",
        "footer",
        "issuer",
        "rendering_options",
    )
    return {
        "adaptive_pricing": {"enabled": True},
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "custom_text": dict.fromkeys(
            ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
        ),
        "invoice_creation": {
            "enabled": False,
            "invoice_data": {**dict.fromkeys(invoice_nulls), "metadata": {}},
        },
        "phone_number_collection": {"enabled": False},
    }


def customer_details() -> Thing:
    """What the hosted page asked the buyer for."""
    address = {
        "city": None,
        "country": "US",
        "line1": None,
        "line2": None,
        "postal_code": "94080",
        "state": None,
    }
    named = {
        "business_name": None,
        "email": "buyer@example.com",
        "individual_name": None,
        "name": "Jenny Rosen",
        "phone": None,
    }
    return {"address": address, **named, "tax_exempt": "none", "tax_ids": []}


def line_item(store: Store, row: dict[str, Any]) -> Thing:
    """One line, with the price made for it: https://docs.stripe.com/api/checkout/sessions/line_items."""
    data, quantity = row["price_data"], row["quantity"]
    total = data["unit_amount"] * quantity
    return {
        "id": new_id("item"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": data["currency"],
        "description": data["product_data"]["name"],
        "metadata": row.get("metadata", {}),
        "price": _price(store, data),
        "quantity": quantity,
    }


def _price(store: Store, data: dict[str, Any]) -> Thing:
    nulls = (
        "custom_unit_amount",
        "lookup_key",
        "nickname",
        "recurring",
        "tiers_mode",
        "transform_quantity",
    )
    return {
        "id": new_id("price"),
        "object": "price",
        **dict.fromkeys(nulls),
        "active": False,
        "billing_scheme": "per_unit",
        "created": store.now(),
        "currency": data["currency"],
        "livemode": False,
        "metadata": {},
        "product": new_id("product"),
        "tax_behavior": data.get("tax_behavior", "unspecified"),
        "type": "one_time",
        "unit_amount": data["unit_amount"],
        "unit_amount_decimal": str(data["unit_amount"]),
    }


def payment_intent(store: Store, of: Thing, data: dict[str, Any]) -> Thing:
    """``data`` is the session's ``payment_intent_data``: https://docs.stripe.com/api/payment_intents/object."""
    name = new_id("payment_intent")
    return {
        "id": name,
        "object": "payment_intent",
        **dict.fromkeys(_INTENT_NULLS),
        "amount": of["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": f"{name}_secret_simulated",
        "confirmation_method": "automatic",
        "created": store.now(),
        "currency": of["currency"],
        "livemode": False,
        "metadata": {},
        "payment_method_options": {},
        "payment_method_types": of["payment_method_types"],
        "status": "requires_payment_method",
        **{key: data[key] for key in _INTENT_ECHOED if key in data},
    }
