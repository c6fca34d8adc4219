"""Each figure of an account's lots, off by one: exactly the rules that it has a part in break."""

from dataclasses import replace
from typing import Final

import pytest
from billing.audit.tally import Tally

ROWS: Final = "the lots' rows add up to what the balance says they have"
HELD: Final = "the lots' rows add up to what the balance says holds have of them"
MORE: Final = "lots have no more than remains and is held"
RIGHT: Final = Tally(
    booked=100, in_holds=20, in_lots=80, held_of_lots=6, balance_count=1, total=100, used=30,
    held=20, remaining=50, lots_left=80, lots_held=6, lots_used=20, lots_exact=1,
)  # fmt: skip
"""80 units in lots: 70 remain or are held, and ten of the use are not burned yet."""


@pytest.mark.parametrize(
    ("members", "broken"),
    [
        ({}, []),
        ({"in_lots": 81}, [(ROWS, 81, 80)]),
        ({"in_lots": 79}, [(ROWS, 79, 80)]),
        ({"held_of_lots": 7}, [(HELD, 7, 6)]),
        ({"lots_held": 7}, [(HELD, 6, 7)]),
        ({"in_lots": 81, "lots_left": 81}, [(MORE, 0, 1)]),
        ({"in_lots": 83, "lots_left": 83}, [(MORE, 0, 3)]),
        ({"in_lots": 79, "lots_left": 79}, []),
        ({"lots_used": 21}, [(MORE, 0, 1)]),
        ({"lots_used": 19}, []),
        ({"in_lots": 81, "lots_left": 81, "lots_exact": 0}, []),
    ],
)
def test_a_figure_of_lots_that_is_wrong_breaks_its_rule(
    members: dict[str, int], broken: list[tuple[str, int, int]]
) -> None:
    """With what is right and what was found, in units."""
    found = replace(RIGHT, **members).differences("alice")
    assert [(row.rule, row.expected, row.found) for row in found] == broken


def test_rules_are_told_in_the_same_order_each_time() -> None:
    """Ledger, holds and lots, then payments, then the balance alone, then keys."""
    rules = [row.rule for row in Tally(
        booked=1, remaining=-1, in_holds=1, in_lots=1, held_of_lots=1, paid_count=1,
        intents_count=1, paid=1, clawed_back=1, written_off=1, debt=-2, itemised=1,
        lots_left=9, lots_exact=1, lots_held=5, keys_used=1, keys_not_booked=5,
        keys_booked_weighed=1,
    ).differences("alice")]  # fmt: skip
    assert rules == [
        "the ledger's entries sum up to total less what is itemised",
        "remaining + held - debt is total - used",
        "held is what the open holds hold",
        ROWS,
        HELD,
        "every paid payment is funded once",
        "every payment intent leads to its payment",
        "paid payments are funded with the units they bought",
        "payments and ledger agree on what was clawed back",
        "payments and ledger agree on what was written off",
        MORE,
        "remaining is not below zero",
        "debt is not below zero",
        "itemised is not more than used",
        "an account has one balance",
        "keys used no more than the account",
        "keys used no more than the account since the last entry",
        "what each key used is what the ledger and its counters show",
    ]
