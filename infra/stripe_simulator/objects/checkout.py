"""Builds Checkout Sessions, line items and payment intents, with all of Stripe's attributes."""

from typing import Any, Final

from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.objects.attributes import (
    INTENT_ECHOED,
    INTENT_NULLS,
    SESSION_ECHOED,
    SESSION_MERGED,
    SESSION_NULLS,
)
from infra.stripe_simulator.store import Store, Thing

SESSION_SECONDS: Final = 24 * 3600
SAVED: Final = {
    "allow_redisplay_filters": ["always"],
    "payment_method_remove": "disabled",
    "payment_method_save": None,
}
"""How a session treats its customer's saved cards, unless the request says otherwise.

https://docs.stripe.com/api/checkout/sessions/object#checkout_session_object-saved_payment_method_options
"""


def session(store: Store, asked: dict[str, Any], base_url: str) -> Thing:
    """Return a new Checkout Session in payment mode.

    https://docs.stripe.com/api/checkout/sessions/object
    """
    name, now = new_id("checkout.session"), store.now()
    items = asked["line_items"]
    total = sum(row["price_data"]["unit_amount"] * row["quantity"] for row in items)
    made: Thing = {
        "id": name,
        "object": "checkout.session",
        **dict.fromkeys(SESSION_NULLS),
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
        **default_settings(),
        **{key: asked[key] for key in SESSION_ECHOED if key in asked},
    }
    if "customer" in asked:
        made |= {"customer_creation": None, "saved_payment_method_options": dict(SAVED)}
    merged = {key: {**made[key], **asked[key]} for key in SESSION_MERGED if key in asked}
    return {**made, **merged}


def default_settings() -> Thing:
    """Return the default values of a session's nested settings."""
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


def customer_details(customer: Thing | None = None) -> Thing:
    """Return the attribute ``customer_details`` of a session that was paid.

    Email and name are the customer's, or those of a made-up buyer if they are not known.
    """
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
    known = {name: customer[name] for name in ("email", "name") if customer and customer[name]}
    return {"address": address, **named, **known, "tax_exempt": "none", "tax_ids": []}


def line_item(store: Store, row: dict[str, Any]) -> Thing:
    """Return a new line item, with its price, for ``row``, an entry of ``line_items`` in a request.

    https://docs.stripe.com/api/checkout/sessions/line_items
    """
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


def payment_intent(store: Store, base: Thing, data: dict[str, Any]) -> Thing:
    """Return a new payment intent, with the amount and customer in ``base``.

    ``data`` has the request's parameters, or a session's ``payment_intent_data``.
    https://docs.stripe.com/api/payment_intents/object
    """
    name = new_id("payment_intent")
    return {
        "id": name,
        "object": "payment_intent",
        **dict.fromkeys(INTENT_NULLS),
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": f"{name}_secret_simulated",
        "confirmation_method": "automatic",
        "created": store.now(),
        "livemode": False,
        "metadata": {},
        "payment_method_options": {},
        "status": "requires_payment_method",
        **base,
        **{key: data[key] for key in INTENT_ECHOED if key in data},
    }
