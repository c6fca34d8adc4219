"""The catalogue and its prices: what cannot be sold and printed exactly is not for sale."""

import json
from typing import Any, Final

import pytest
from billing.errors import BillingError
from billing.money import CURRENCIES, ZERO_DECIMAL, decimal_string
from billing.payments import plans

GOOD: Final[dict[str, Any]] = {
    "id": "a",
    "name": "A",
    "description": "Some.",
    "amount_minor": 999,
    "currency": "usd",
    "quota": 100,
}
THREE_DECIMAL: Final = ("bhd", "jod", "kwd", "omr", "tnd")
SPECIAL: Final = ("huf", "isk", "twd", "ugx")
"""They look as if they had two decimals, or none, and are charged otherwise:
https://docs.stripe.com/currencies#special-cases."""


def _load(*rows: Any) -> Any:
    return plans.load(json.dumps(rows))


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (999, "usd", "9.99"),
        (5, "eur", "0.05"),
        (100, "gbp", "1.00"),
        (99_999_999, "usd", "999999.99"),
        (-1250, "usd", "-12.50"),
        (-5, "usd", "-0.05"),
        (1500, "jpy", "1500"),
        (0, "krw", "0"),
    ],
)
def test_an_amount_is_printed_exactly(amount_minor: int, currency: str, text: str) -> None:
    """Two decimals or none, as the currency has."""
    assert decimal_string(amount_minor, currency) == text


@pytest.mark.parametrize(
    "currency", [*THREE_DECIMAL, *SPECIAL, "USD", "xxx", "", None, 1, ["usd"], {}]
)
def test_a_currency_that_cannot_be_printed_exactly_is_refused(currency: Any) -> None:
    """With three decimals, printed with two, 1.234 would be shown as 12.34."""
    with pytest.raises(
        ValueError, match=r"plan 1: currency must be one that Topup can print exactly"
    ):
        _load({**GOOD, "currency": currency})


@pytest.mark.parametrize("currency", sorted(CURRENCIES))
def test_every_other_currency_is_sold_with_its_own_decimals(currency: str) -> None:
    """The least that is not nothing tells how many there are."""
    (plan,) = _load({**GOOD, "currency": currency, "amount_minor": 1999}).values()
    assert plan.as_answer()["amount"] == ("1999" if currency in ZERO_DECIMAL else "19.99")


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        *(("id", value, "id must be") for value in ("", "A", "a b", "a" * 41, "ä", "a\n", 1, None)),
        *(("name", value, "name must be") for value in ("", "x" * 201, 1, None)),
        *(("description", value, "description must be") for value in ("", "x" * 501, 1, None)),
        *(
            ("amount_minor", value, "amount_minor must be")
            for value in (0, -1, 100_000_000, 9.99, 9.0, "999", True, None)
        ),
        *(
            ("quota", value, "quota must be")
            for value in (0, -1, 10**9 + 1, 1.5, 1.0, "100", True, None)
        ),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused_by_that_rule(
    name: str, value: Any, rule: str
) -> None:
    """A wrong price is found when the catalogue is loaded, not by a buyer."""
    with pytest.raises(ValueError, match=f"^plans.json: plan 2: {rule}[^;]*$"):
        _load(GOOD, {**GOOD, "id": "b", name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "a_-9" * 10),
        ("name", "x" * 200),
        ("description", "x" * 500),
        ("amount_minor", 50),
        ("amount_minor", 99_999_999),
        ("quota", 1),
        ("quota", 10**9),
    ],
)
def test_the_last_allowed_value_is_allowed(name: str, value: Any) -> None:
    """Limits belong to what they limit."""
    (plan,) = _load({**GOOD, name: value}).values()
    assert getattr(plan, name) == value


@pytest.mark.parametrize(
    ("currency", "least", "greatest"),
    [
        ("usd", 50, 99_999_999),
        ("gbp", 30, 99_999_999),
        ("czk", 1500, 99_999_999),
        ("thb", 1000, 99_999_999),
        ("jpy", 50, 99_999_999),
        ("krw", 50, 99_999_999),
        ("inr", 50, 999_999_999),
        ("cny", 1, 99_999_999),
    ],
)
def test_a_price_that_stripe_would_never_charge_is_refused_when_the_catalogue_is_loaded(
    currency: str, least: int, greatest: int
) -> None:
    """Otherwise it loads, and every checkout fails. Stripe publishes no least amount for CNY."""
    for amount_minor in (least, greatest):
        (plan,) = _load({**GOOD, "currency": currency, "amount_minor": amount_minor}).values()
        assert plan.amount_minor == amount_minor
    for amount_minor in (least - 1, greatest + 1):
        rule = (
            f"plan 1: amount_minor must be an integer from {least} to {greatest},"
            f" which is what Stripe charges in {currency}"
        )
        with pytest.raises(ValueError, match=rule):
            _load({**GOOD, "currency": currency, "amount_minor": amount_minor})


def test_the_catalogue_starts_with_three_packs() -> None:
    """Their names, and how many calls each description begins with."""
    shown = [
        (plan.id, plan.name, plan.amount_minor, plan.quota) for plan in plans.catalogue().values()
    ]
    assert shown == [
        ("starter", "Starter Pack", 999, 100),
        ("pro", "Pro Pack", 4999, 1000),
        ("enterprise", "Enterprise Pack", 29999, 10000),
    ]
    begins = [plan.description.partition("API calls")[0] for plan in plans.catalogue().values()]
    assert begins == ["100 ", "1 000 ", "10 000 "]


def test_all_faults_are_reported_together() -> None:
    """An operator can fix the whole file in one go."""
    with pytest.raises(
        ValueError, match=r"plan 1: name must be .*; plan 1: quota must be .*; plan 2: id must be"
    ):
        _load({**GOOD, "name": "", "quota": 0}, {**GOOD, "id": "B"})


@pytest.mark.parametrize(
    "row",
    [
        {name: value for name, value in GOOD.items() if name != "quota"},
        {**GOOD, "price": 9.99},
        [],
        "a",
        None,
    ],
)
def test_a_plan_has_these_members_and_no_others(row: Any) -> None:
    """A misspelled member is no default."""
    with pytest.raises(
        ValueError,
        match="plan 1 must have exactly: amount_minor, currency, description, id, name, quota",
    ):
        _load(row)


@pytest.mark.parametrize("text", ["[]", "{}", "null", '"a"'])
def test_a_catalogue_is_a_list_with_something_in_it(text: str) -> None:
    """Nothing for sale is a mistake."""
    with pytest.raises(ValueError, match="at least one plan"):
        plans.load(text)


def test_a_catalogue_has_at_most_a_hundred_plans() -> None:
    """The API and the page show all of them together."""
    assert len(_load(*({**GOOD, "id": f"a{number}"} for number in range(100)))) == 100
    with pytest.raises(ValueError, match="at most 100 plans, not 101"):
        _load(*({**GOOD, "id": f"a{number}"} for number in range(101)))


def test_two_plans_do_not_share_an_id() -> None:
    """One of them could not be bought."""
    with pytest.raises(ValueError, match="two plans share one id"):
        _load(GOOD, {**GOOD, "amount_minor": 50})


@pytest.mark.parametrize("name", ["gold", "", "STARTER", None, 1, ["starter"], {"id": "starter"}])
def test_an_unknown_plan_is_refused_and_the_known_ones_are_named(name: Any) -> None:
    with pytest.raises(
        BillingError, match="invalid_plan: plan must be one of: starter, pro, enterprise"
    ):
        plans.find(name)
