"""Amounts: integers in the currency's minor unit inside, an exact decimal string outside."""

from typing import Final

# https://docs.stripe.com/currencies#zero-decimal
ZERO_DECIMAL: Final = frozenset({"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"})
# https://docs.stripe.com/currencies: two decimals; the three-decimal and special-case currencies are left out on purpose.
TWO_DECIMAL: Final = frozenset(
    {"aud", "brl", "cad", "chf", "cny", "czk", "dkk", "eur", "gbp", "hkd", "inr", "mxn", "myr", "nok", "nzd", "pln"}
    | {"ron", "sek", "sgd", "thb", "usd", "zar"}
)
CURRENCIES: Final = ZERO_DECIMAL | TWO_DECIMAL


def decimal_string(amount_minor: int, currency: str) -> str:
    """``decimal_string(999, "usd") == "9.99"``, ``decimal_string(1500, "jpy") == "1500"``. Exact, no floats."""
    if currency in ZERO_DECIMAL:
        return str(amount_minor)
    sign = "-" if amount_minor < 0 else ""
    whole, cents = divmod(abs(amount_minor), 100)
    return f"{sign}{whole}.{cents:02d}"
