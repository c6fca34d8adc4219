"""Lists the currencies that Stripe supports, and the least and greatest amounts it charges.

https://docs.stripe.com/currencies
"""

from typing import Final


def _currencies(text: str) -> frozenset[str]:
    return frozenset(text.split())


ZERO_DECIMAL: Final = _currencies("bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf")
_OTHERS: Final = _currencies("ars cny cop egp idr ils isk pen php qar sar try twd uah zar")
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
"""The smallest charge by currency, in the minor unit:
https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
"""
CURRENCIES: Final = ZERO_DECIMAL | MINIMUM_MINOR.keys() | _OTHERS
"""Most of the currencies that Stripe supports."""
AMOUNT_MAX: Final = 99_999_999
"""The largest charge in any currency, in the minor unit."""
