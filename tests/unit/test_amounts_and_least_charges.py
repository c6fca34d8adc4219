"""Amounts near nothing, and what Stripe charges at least and at most."""

import pytest
from billing.money import charge_bounds, decimal_string


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (-1, "usd", "-0.01"),
        (0, "usd", "0.00"),
        (1, "usd", "0.01"),
        (99, "usd", "0.99"),
        (-100, "usd", "-1.00"),
        (-1, "jpy", "-1"),
    ],
)
def test_an_amount_near_nothing_is_printed_exactly(
    amount_minor: int, currency: str, text: str
) -> None:
    assert decimal_string(amount_minor, currency) == text


@pytest.mark.parametrize(
    ("currency", "bounds"),
    [
        ("usd", (50, 99_999_999)),
        ("inr", (50, 999_999_999)),
        ("zar", (50, 99_999_999)),
        ("krw", (50, 99_999_999)),
        ("vnd", (1, 99_999_999)),
        (None, (1, 99_999_999)),
        (["inr"], (1, 99_999_999)),
    ],
)
def test_the_bounds_of_a_currency_are_stripes(currency: object, bounds: tuple[int, int]) -> None:
    """https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts."""
    assert charge_bounds(currency) == bounds
