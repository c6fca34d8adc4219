"""What Stripe demands beyond the types of its parameters: for a Checkout Session in payment mode, and for webhook endpoints.

https://docs.stripe.com/api/checkout/sessions/create, https://docs.stripe.com/api/metadata and https://docs.stripe.com/currencies.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from infra.stripe_simulator.errors import StripeFault, bad_integer, missing
from infra.stripe_simulator.store import Store

ZERO_DECIMAL: Final = frozenset(
    {
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "ugx",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    },
)
_OTHERS: Final = frozenset(
    {
        "ars",
        "cny",
        "cop",
        "egp",
        "idr",
        "ils",
        "isk",
        "pen",
        "php",
        "qar",
        "sar",
        "try",
        "twd",
        "uah",
        "zar",
    }
)
_BY_MINIMUM: Final = {
    30: ("gbp",),
    50: ("aud", "brl", "cad", "chf", "eur", "inr", "jpy", "nzd", "sgd", "usd"),
    100: ("bgn",),
    200: ("aed", "myr", "pln", "ron"),
    250: ("dkk",),
    300: ("nok", "sek"),
    400: ("hkd",),
    1000: ("mxn", "thb"),
    1500: ("czk",),
    17500: ("huf",),
}
MINIMUM_MINOR: Final = {
    currency: least for least, currencies in _BY_MINIMUM.items() for currency in currencies
}
"""https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts"""
CURRENCIES: Final = ZERO_DECIMAL | MINIMUM_MINOR.keys() | _OTHERS
"""The greater part of those that Stripe knows."""
AMOUNT_MAX: Final = 99_999_999
METADATA_KEYS_MAX, METADATA_KEY_CHARS_MAX, METADATA_VALUE_CHARS_MAX = 50, 40, 500
LINE_ITEMS_MAX: Final = 100
URL_CHARS_MAX: Final = 5000
REFERENCE_CHARS_MAX: Final = 200
EXPIRES_SECONDS: Final = (30 * 60, 24 * 3600)
ENDPOINTS_MAX: Final = 16
"""Webhook endpoints of one account."""
_ELSEWHERE: Final = {
    "customer": "customer",
    "customer_account": "account",
    "payment_method_configuration": "payment_method_configuration",
}
"""Objects that this simulator has none of: whoever names one is told what Stripe would say of an
unknown one."""


def check_session(store: Store, asked: dict[str, Any]) -> None:
    """Raise Stripe's complaint about a session that the types alone would let pass."""
    _check_mode(asked)
    if not asked.get("line_items"):
        raise _lacking("line_items")
    if "success_url" not in asked:
        raise _lacking("success_url")
    for number, row in enumerate(asked["line_items"]):
        _check_item(f"line_items[{number}]", row)
    _check_total(asked["line_items"])
    for name in ("success_url", "cancel_url"):
        if name in asked:
            check_url(name, asked[name])
    check_metadata("metadata", asked.get("metadata", {}))
    check_metadata(
        "payment_intent_data[metadata]", asked.get("payment_intent_data", {}).get("metadata", {})
    )
    if len(asked.get("client_reference_id", "")) > REFERENCE_CHARS_MAX:
        raise StripeFault(
            400,
            f"Invalid string: client_reference_id has more than {REFERENCE_CHARS_MAX} characters",
            param="client_reference_id",
        )
    if "expires_at" in asked:
        soonest, latest = EXPIRES_SECONDS
        if not soonest <= asked["expires_at"] - store.now() <= latest:
            told = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
            raise StripeFault(400, told, param="expires_at")


def _check_mode(asked: dict[str, Any]) -> None:
    if "mode" not in asked:
        raise _lacking("mode")
    if asked["mode"] != "payment":
        raise StripeFault(
            400, f"Invalid mode: this simulator knows payment, not {asked['mode']}", param="mode"
        )
    if asked.get("ui_mode", "hosted_page") != "hosted_page":
        raise StripeFault(
            400,
            f"Invalid ui_mode: this simulator shows the hosted page, not {asked['ui_mode']}",
            param="ui_mode",
        )
    for name in ("subscription_data", "setup_intent_data"):
        if name in asked:
            raise StripeFault(400, f"You can not pass `{name}` in `payment` mode.", param=name)
    for name, kind in _ELSEWHERE.items():
        if name in asked:
            raise missing(kind, asked[name], name)
    if asked.get("discounts") and asked.get("allow_promotion_codes"):
        told = "You may only specify one of these parameters: allow_promotion_codes, discounts."
        raise StripeFault(400, told, code="parameters_exclusive", param="allow_promotion_codes")
    if asked.get("discounts"):
        raise missing("coupon", str(next(iter(asked["discounts"][0].values()), "")), "discounts[0]")


def _check_item(place: str, row: dict[str, Any]) -> None:
    if "price" in row:
        raise missing("price", row["price"], f"{place}[price]")
    if "price_data" not in row:
        raise _lacking(f"{place}[price_data]")
    _check_price(f"{place}[price_data]", row["price_data"])
    if "quantity" not in row:
        raise _lacking(f"{place}[quantity]")
    if row["quantity"] < 1:
        raise bad_integer("This value must be greater than or equal to 1.", f"{place}[quantity]")


def _check_price(place: str, price: dict[str, Any]) -> None:
    if "unit_amount" not in price:
        raise _lacking(f"{place}[unit_amount]")
    if "product" in price:
        raise missing("product", price["product"], f"{place}[product]")
    if not price.get("product_data", {}).get("name", "").strip():
        raise _lacking(f"{place}[product_data][name]")
    if "recurring" in price:
        raise StripeFault(
            400, "You must provide one-time prices in `payment` mode.", param=f"{place}[recurring]"
        )
    if price["currency"] not in CURRENCIES:
        raise StripeFault(
            400, f"Invalid currency: {price['currency']}.", param=f"{place}[currency]"
        )
    if price["unit_amount"] < 0:
        raise bad_integer("Invalid non-negative integer", f"{place}[unit_amount]")


def _check_total(items: list[dict[str, Any]]) -> None:
    """Nothing at all may be charged, but not next to nothing: https://docs.stripe.com/payments/checkout/no-cost-orders."""
    if len(items) > LINE_ITEMS_MAX:
        raise StripeFault(
            400, f"You may only specify up to {LINE_ITEMS_MAX} line items.", param="line_items"
        )
    currencies = {row["price_data"]["currency"] for row in items}
    if len(currencies) > 1:
        raise StripeFault(
            400,
            f"All prices on a Checkout Session must use the same currency, not {sorted(currencies)}.",
            param="line_items",
        )
    currency = currencies.pop()
    least, total = (
        MINIMUM_MINOR.get(currency, 50),
        sum(row["price_data"]["unit_amount"] * row["quantity"] for row in items),
    )
    if 0 < total < least:
        told = f"The Checkout Session's total amount due must add up to at least {least} in the minor unit of {currency}; it is {total}."
        raise StripeFault(400, told, code="amount_too_small", param="line_items")
    if total > AMOUNT_MAX:
        told = f"The Checkout Session's total amount due must be no more than {AMOUNT_MAX} in the minor unit of {currency}; it is {total}."
        raise StripeFault(400, told, code="amount_too_large", param="line_items")


def check_url(param: str, url: str) -> None:
    """A scheme of http or https, a host, not too long."""
    try:
        parts = urlsplit(url)
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and (parts.port is None or parts.port > 0)
        )
    except ValueError:  # a port that is no number, a broken IPv6 address
        good = False
    if not good or len(url) > URL_CHARS_MAX or any(char.isspace() for char in url):
        raise StripeFault(400, "Not a valid URL", code="url_invalid", param=param)


def check_metadata(param: str, metadata: dict[str, str] | str) -> None:
    """50 keys of 40 characters without brackets, values of 500: https://docs.stripe.com/api/metadata."""
    if isinstance(metadata, str):
        return
    if len(metadata) > METADATA_KEYS_MAX:
        raise StripeFault(
            400,
            f"Metadata can have at most {METADATA_KEYS_MAX} keys; this has {len(metadata)}.",
            param=param,
        )
    for name, value in metadata.items():
        if len(name) > METADATA_KEY_CHARS_MAX:
            told = f"Invalid metadata key: keys have at most {METADATA_KEY_CHARS_MAX} characters; {name[:60]} has {len(name)}."
            raise StripeFault(400, told, param=param)
        if len(value) > METADATA_VALUE_CHARS_MAX:
            told = f"Invalid metadata value: values have at most {METADATA_VALUE_CHARS_MAX} characters; that of {name} has {len(value)}."
            raise StripeFault(400, told, param=f"{param}[{name}]")


def _lacking(param: str) -> StripeFault:
    return StripeFault(
        400, f"Missing required param: {param}.", code="parameter_missing", param=param
    )
