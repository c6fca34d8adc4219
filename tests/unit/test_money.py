"""Every currency that the catalogue takes, at the least amount that Stripe charges in it."""

import json

import pytest
from billing.money import decimal_string
from billing.payments import plans

PLAN = {"id": "one", "name": "One", "description": "1 API call.", "quota": 1}
# https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts, in the minor unit
LEAST = {
    "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
# https://docs.stripe.com/currencies#zero-decimal
WHOLE = [
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga",
    "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf",
]  # fmt: skip


def _load(currency: str, amount_minor: int) -> int:
    plan = {**PLAN, "currency": currency, "amount_minor": amount_minor}
    return plans.load(json.dumps([plan]))["one"].amount_minor


@pytest.mark.parametrize(("currency", "least"), LEAST.items())
def test_the_least_amount_of_a_currency_is_sold_and_one_less_is_not(
    currency: str, least: int
) -> None:
    """Stripe would refuse every checkout of it."""
    assert _load(currency, least) == least
    with pytest.raises(ValueError, match=f"amount_minor must be an integer from {least} to"):
        _load(currency, least - 1)


@pytest.mark.parametrize("currency", [*LEAST, *WHOLE, "cny", "krw", "zar"])
def test_an_amount_is_sent_and_shown_with_the_currencys_own_digits(currency: str) -> None:
    """1500 is fifteen of most currencies, and fifteen hundred of some."""
    assert _load(currency, 1500) == 1500
    shown = "1500" if currency in WHOLE else "15.00"
    assert decimal_string(1500, currency) == shown
