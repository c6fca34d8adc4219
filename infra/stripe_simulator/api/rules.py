"""Checks Stripe's rules for Checkout Sessions and webhook endpoints.

These are the rules beyond the types of the parameters, for example for metadata:
https://docs.stripe.com/api/checkout/sessions/create and https://docs.stripe.com/api/metadata.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from infra.stripe_simulator.api import currencies
from infra.stripe_simulator.errors import StripeFault, bad_integer, missing
from infra.stripe_simulator.store import Store

METADATA_KEYS_MAX, METADATA_KEY_CHARS_MAX, METADATA_VALUE_CHARS_MAX = 50, 40, 500
LINE_ITEMS_MAX: Final = 100
URL_CHARS_MAX: Final = 5000
REFERENCE_CHARS_MAX: Final = 200
EXPIRES_SECONDS: Final = (30 * 60, 24 * 3600)
ENDPOINTS_MAX: Final = 16
"""The limit of webhook endpoints in one account."""
_NOT_SIMULATED: Final = {
    "customer_account": "account",
    "payment_method_configuration": "payment_method_configuration",
}
"""Parameters that name objects which this simulator lacks. Its answer to them is Stripe's 404."""


def check_session(store: Store, asked: dict[str, Any]) -> None:
    """Raise StripeFault for a session whose parameters have the right types but are not allowed."""
    _check_mode(asked)
    if not asked.get("line_items"):
        raise missing_param("line_items")
    if "success_url" not in asked:
        raise missing_param("success_url")
    for number, row in enumerate(asked["line_items"]):
        _check_item(f"line_items[{number}]", row)
    _check_total(asked["line_items"])
    for name in ("success_url", "cancel_url"):
        if name in asked:
            check_url(name, asked[name])
    check_metadata("metadata", asked.get("metadata", {}))
    intent_data = asked.get("payment_intent_data", {})
    check_metadata("payment_intent_data[metadata]", intent_data.get("metadata", {}))
    _check_customer(store, asked)
    if len(asked.get("client_reference_id", "")) > REFERENCE_CHARS_MAX:
        message = (
            f"Invalid string: client_reference_id has more than {REFERENCE_CHARS_MAX} characters"
        )
        raise StripeFault(400, message, param="client_reference_id")
    if "expires_at" in asked:
        _check_expiry(asked["expires_at"] - store.now())


def _check_customer(store: Store, asked: dict[str, Any]) -> None:
    """Raise StripeFault for an unknown customer, or for parameters that exclude a customer.

    They are ``customer_email`` and ``customer_creation``.
    https://docs.stripe.com/api/checkout/sessions/create#create_checkout_session-customer
    """
    if "customer" not in asked:
        return
    for name in ("customer_email", "customer_creation"):
        if name in asked:
            message = f"You may only specify one of these parameters: customer, {name}."
            raise StripeFault(400, message, code="parameters_exclusive", param=name)
    if store.get("customer", asked["customer"]) is None:
        raise missing("customer", asked["customer"], "customer", 400)


def _check_expiry(seconds: int) -> None:
    soonest, latest = EXPIRES_SECONDS
    if not soonest <= seconds <= latest:
        message = (
            "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout"
            " Session creation."
        )
        raise StripeFault(400, message, param="expires_at")


def _check_mode(asked: dict[str, Any]) -> None:
    if "mode" not in asked:
        raise missing_param("mode")
    if asked["mode"] != "payment":
        message = f"Invalid mode: this simulator supports payment, not {asked['mode']}"
        raise StripeFault(400, message, param="mode")
    if asked.get("ui_mode", "hosted_page") != "hosted_page":
        message = f"Invalid ui_mode: this simulator shows the hosted page, not {asked['ui_mode']}"
        raise StripeFault(400, message, param="ui_mode")
    for name in ("subscription_data", "setup_intent_data"):
        if name in asked:
            raise StripeFault(400, f"You can not pass `{name}` in `payment` mode.", param=name)
    for name, kind in _NOT_SIMULATED.items():
        if name in asked:
            raise missing(kind, asked[name], name)
    if asked.get("discounts") and asked.get("allow_promotion_codes"):
        message = "You may only specify one of these parameters: allow_promotion_codes, discounts."
        raise StripeFault(400, message, code="parameters_exclusive", param="allow_promotion_codes")
    if asked.get("discounts"):
        coupon = next(iter(asked["discounts"][0].values()), "")
        raise missing("coupon", str(coupon), "discounts[0]")


def _check_item(param: str, row: dict[str, Any]) -> None:
    if "price" in row:
        raise missing("price", row["price"], f"{param}[price]")
    if "price_data" not in row:
        raise missing_param(f"{param}[price_data]")
    _check_price(f"{param}[price_data]", row["price_data"])
    if "quantity" not in row:
        raise missing_param(f"{param}[quantity]")
    if row["quantity"] < 1:
        raise bad_integer("This value must be greater than or equal to 1.", f"{param}[quantity]")


def _check_price(param: str, price: dict[str, Any]) -> None:
    if "unit_amount" not in price:
        raise missing_param(f"{param}[unit_amount]")
    if "product" in price:
        raise missing("product", price["product"], f"{param}[product]")
    if not price.get("product_data", {}).get("name", "").strip():
        raise missing_param(f"{param}[product_data][name]")
    if "recurring" in price:
        message = "You must provide one-time prices in `payment` mode."
        raise StripeFault(400, message, param=f"{param}[recurring]")
    if price["currency"] not in currencies.CURRENCIES:
        message = f"Invalid currency: {price['currency']}."
        raise StripeFault(400, message, param=f"{param}[currency]")
    if price["unit_amount"] < 0:
        raise bad_integer("Invalid non-negative integer", f"{param}[unit_amount]")


def _check_total(items: list[dict[str, Any]]) -> None:
    """Raise StripeFault for line items that are too many, mix currencies, or have a bad total.

    The total may be 0. Otherwise it must be between the currency's minimum and Stripe's maximum.
    https://docs.stripe.com/payments/checkout/no-cost-orders
    """
    if len(items) > LINE_ITEMS_MAX:
        message = f"You may only specify up to {LINE_ITEMS_MAX} line items."
        raise StripeFault(400, message, param="line_items")
    named = {row["price_data"]["currency"] for row in items}
    if len(named) > 1:
        found = sorted(named)
        message = f"All prices on a Checkout Session must use the same currency, not {found}."
        raise StripeFault(400, message, param="line_items")
    currency = named.pop()
    least = currencies.MINIMUM_MINOR.get(currency, 50)
    total = sum(row["price_data"]["unit_amount"] * row["quantity"] for row in items)
    subject = "The Checkout Session's total amount due must"
    unit = f"in the minor unit of {currency}; it is {total}."
    if 0 < total < least:
        message = f"{subject} add up to at least {least} {unit}"
        raise StripeFault(400, message, code="amount_too_small", param="line_items")
    if total > currencies.AMOUNT_MAX:
        message = f"{subject} be no more than {currencies.AMOUNT_MAX} {unit}"
        raise StripeFault(400, message, code="amount_too_large", param="line_items")


def check_url(param: str, url: str) -> None:
    """Raise StripeFault unless it is an http or https URL with a host, of an allowed length."""
    if not _is_url(url) or len(url) > URL_CHARS_MAX or any(char.isspace() for char in url):
        raise StripeFault(400, "Not a valid URL", code="url_invalid", param=param)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_valid


def check_metadata(param: str, metadata: dict[str, str] | str) -> None:
    """Raise StripeFault for more than 50 keys, keys over 40 or values over 500 characters.

    https://docs.stripe.com/api/metadata
    """
    if isinstance(metadata, str):
        return
    if len(metadata) > METADATA_KEYS_MAX:
        count = len(metadata)
        message = f"Metadata can have at most {METADATA_KEYS_MAX} keys; this has {count}."
        raise StripeFault(400, message, param=param)
    for name, value in metadata.items():
        if len(name) > METADATA_KEY_CHARS_MAX:
            message = (
                f"Invalid metadata key: keys have at most {METADATA_KEY_CHARS_MAX} characters;"
                f" {name[:60]} has {len(name)}."
            )
            raise StripeFault(400, message, param=param)
        if len(value) > METADATA_VALUE_CHARS_MAX:
            message = (
                f"Invalid metadata value: values have at most {METADATA_VALUE_CHARS_MAX}"
                f" characters; that of {name} has {len(value)}."
            )
            raise StripeFault(400, message, param=f"{param}[{name}]")


def missing_param(param: str) -> StripeFault:
    """Return Stripe's 400 for a parameter that must be there."""
    message = f"Missing required param: {param}."
    return StripeFault(400, message, code="parameter_missing", param=param)
