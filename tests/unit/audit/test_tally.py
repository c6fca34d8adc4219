"""Each figure of an account, off by one: exactly the rules that it has a part in are broken."""

from dataclasses import fields, replace
from typing import Final

import pytest
from billing.audit.tally import Tally

LEDGER: Final = "the ledger's entries sum up to total less what is itemised"
BALANCE: Final = "remaining + held - debt is total - used"
HELD: Final = "held is what the open holds hold"
FUNDED: Final = "every paid payment is funded once"
INTENTS: Final = "every payment intent leads to its payment"
BOUGHT: Final = "paid payments are funded with the units they bought"
CLAWED: Final = "payments and ledger agree on what was clawed back"
WRITTEN: Final = "payments and ledger agree on what was written off"
KEYS: Final = "keys used no more than the account"
SINCE: Final = "keys used no more than the account since the last entry"
EACH_KEY: Final = "what each key used is what the ledger and its counters show"
NOT_NEGATIVE: Final = "remaining is not below zero"
ITEMISED: Final = "itemised is not more than used"
DEBT: Final = "there is no debt while units remain"
NO_DEBT_BELOW: Final = "debt is not below zero"
ONE: Final = "an account has one balance"

RIGHT: Final = Tally(
    booked=93, funded=120, funded_count=3, taken_back=15, adjusted_for_payments=4, paid=120,
    paid_count=3, intents_count=2, referred_count=2, clawed_back=15, written_off=4, in_holds=20,
    balance_count=1, total=100, used=30, held=20, remaining=50, debt=0, itemised=7, placed_count=9,
    keys_used=12, keys_not_booked=-5, keys_revoked=3, keys_booked_weighed=11,
    keys_revoked_weighed=11,
)  # fmt: skip
"""Every rule holds, and no two figures that are compared with others are alike."""
BROKEN: Final[dict[str, set[str]]] = {
    "booked": {LEDGER},
    "funded": {BOUGHT},
    "funded_count": {FUNDED},
    "taken_back": {CLAWED},
    "adjusted_for_payments": {WRITTEN},
    "paid": {BOUGHT},
    "paid_count": {FUNDED},
    "intents_count": {INTENTS},
    "referred_count": {INTENTS},
    "clawed_back": {CLAWED},
    "written_off": {WRITTEN},
    "in_holds": {HELD},
    "balance_count": {ONE},
    "total": {LEDGER, BALANCE},
    "used": {BALANCE},
    "held": {BALANCE, HELD},
    "remaining": {BALANCE},
    "debt": {BALANCE, DEBT},
    "itemised": {LEDGER},
    "placed_count": set(),
    "keys_used": set(),
    "keys_not_booked": set(),
    "keys_revoked": set(),
    "keys_booked_weighed": {EACH_KEY},
    "keys_revoked_weighed": {EACH_KEY},
}


def _broken(tally: Tally) -> set[str]:
    return {found.rule for found in tally.differences("alice")}


def test_an_account_of_which_nothing_is_known_has_nothing() -> None:
    """A figure that is counted up begins at zero."""
    assert {getattr(Tally(), field.name) for field in fields(Tally)} == {0}


@pytest.mark.parametrize("name", BROKEN)
def test_a_figure_that_is_one_too_high_breaks_its_rules(name: str) -> None:
    assert _broken(RIGHT) == set()
    assert _broken(replace(RIGHT, **{name: getattr(RIGHT, name) + 1})) == BROKEN[name]


@pytest.mark.parametrize(
    ("members", "rules"),
    [
        ({"keys_used": 27}, set()),
        ({"keys_used": 28}, {KEYS}),
        ({"keys_revoked": 18}, set()),
        ({"keys_revoked": 19}, {KEYS}),
        ({"keys_not_booked": 11}, set()),
        ({"keys_not_booked": 12}, {SINCE}),
        ({"keys_not_booked": -12}, set()),
        ({"keys_not_booked": -13}, {SINCE}),
        ({"booked": 70, "itemised": 30, "keys_not_booked": -12}, set()),
        ({"booked": 69, "itemised": 31, "keys_not_booked": -12}, {ITEMISED}),
        ({"remaining": 0, "used": 80}, set()),
        ({"remaining": -1, "used": 81}, {NOT_NEGATIVE}),
        ({"remaining": 0, "used": 85, "debt": 5}, set()),
        ({"remaining": 1, "used": 84, "debt": 5}, {DEBT}),
        ({"remaining": -1, "used": 84, "debt": 3}, {NOT_NEGATIVE}),
        ({"remaining": 0, "used": 79, "debt": -1}, {NO_DEBT_BELOW}),
    ],
)
def test_a_bound_is_broken_by_one(members: dict[str, int], rules: set[str]) -> None:
    """And not before."""
    assert _broken(replace(RIGHT, **members)) == rules


def test_a_difference_says_what_is_right_and_what_was_found() -> None:
    """In units, and whose they are."""
    (found,) = replace(RIGHT, in_holds=18).differences("alice")
    assert found.as_answer() == {"user_id": "alice", "rule": HELD, "expected": 18, "found": 20}
    (debt,) = replace(RIGHT, remaining=3, used=80, debt=3).differences("alice")
    assert (debt.rule, debt.expected, debt.found) == (DEBT, 0, 3)


def test_only_what_a_debit_changes_may_move_between_two_readings() -> None:
    """It changes them in one row."""
    moving = {
        field.name
        for field in fields(Tally)
        if replace(RIGHT, **{field.name: 99}).steady() == RIGHT.steady()
    }
    assert moving == {"used", "remaining", "keys_used"}
