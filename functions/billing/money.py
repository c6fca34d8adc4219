"""Converts amounts of money.

Inside they are integers in the currency's minor unit. In answers they are also
exact decimal texts.
"""

from collections.abc import Mapping
from typing import Final

# https://docs.stripe.com/currencies#zero-decimal
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
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    }
)
# https://docs.stripe.com/currencies: two decimals; the three-decimal and special-case currencies
# are left out on purpose.
TWO_DECIMAL: Final = frozenset(
    {
        "aud",
        "brl",
        "cad",
        "chf",
        "cny",
        "czk",
        "dkk",
        "eur",
        "gbp",
        "hkd",
        "inr",
        "mxn",
        "myr",
        "nok",
        "nzd",
        "pln",
    }
    | {"ron", "sek", "sgd", "thb", "usd", "zar"}
)
UNITS_MAX: Final = 10**9
"""The most units of one plan, debit, hold or grant."""
CURRENCIES: Final = ZERO_DECIMAL | TWO_DECIMAL
# https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts, read in November 2026.
# Stripe publishes no least amount for the other currencies: here it is 1. Where
# Stripe converts into the currency of the seller's bank account, that currency's least amount
# counts too, and only Stripe knows it: then it refuses the checkout.
_BY_LEAST: Final[Mapping[int, tuple[str, ...]]] = {
    30: ("gbp",),
    50: (
        "aud",
        "brl",
        "cad",
        "chf",
        "eur",
        "inr",
        "jpy",
        "krw",
        "nzd",
        "sgd",
        "usd",
        "zar",
    ),
    200: ("myr", "pln", "ron"),
    250: ("dkk",),
    300: ("nok", "sek"),
    400: ("hkd",),
    1000: ("mxn", "thb"),
    1500: ("czk",),
}
LEAST_MINOR: Final = {
    currency: least for least, names in _BY_LEAST.items() for currency in names
}
# The same page: 8 digits for payments by any method. Cards alone would take more.
GREATEST_MINOR: Final = {"inr": 999_999_999}
GREATEST_MINOR_OTHERWISE: Final = 99_999_999


def charge_bounds(currency: object) -> tuple[int, int]:
    """Return the smallest and the largest amount that Stripe charges.

    Both are in the currency's minor unit. The smallest is 1 for a currency
    without a known one.
    """
    name = currency if isinstance(currency, str) else ""
    return LEAST_MINOR.get(name, 1), GREATEST_MINOR.get(
        name, GREATEST_MINOR_OTHERWISE
    )


def decimal_string(amount_minor: int, currency: str) -> str:
    """Return an amount as an exact decimal: "9.99" for 999 in "usd", "1500" for 1500 in "jpy"."""
    if currency in ZERO_DECIMAL:
        return str(amount_minor)
    sign = "-" if amount_minor < 0 else ""
    whole, cents = divmod(abs(amount_minor), 100)
    return f"{sign}{whole}.{cents:02d}"
