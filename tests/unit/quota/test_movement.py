"""How units come in and go out, on both sides of every bound."""

from typing import Final

import pytest
from billing.quota.balance import Balance
from billing.quota.movement import Movement, come_in, go_out
from billing.settings import ReversalPolicy

OUT: Final[list[tuple[Balance, int, ReversalPolicy, tuple[int, int, int]]]] = [
    # what remains, is held and owed; the units; the policy; remaining, debt and written off
    (Balance(remaining=5), 5, "debt", (-5, 0, 0)),
    (Balance(remaining=5), 6, "debt", (-5, 1, 0)),
    (Balance(remaining=0, debt=2), 3, "debt", (0, 3, 0)),
    (Balance(remaining=5), 5, "write_off", (-5, 0, 0)),
    (Balance(remaining=5), 6, "write_off", (-5, 0, 1)),
    (Balance(remaining=5, held=1), 6, "write_off", (-5, 1, 0)),
    (Balance(remaining=5, held=1), 7, "write_off", (-5, 1, 1)),
    (Balance(held=4, debt=3), 2, "write_off", (0, 1, 1)),
    (Balance(held=4, debt=4), 2, "write_off", (0, 0, 2)),
    # the policy was ``debt`` before: more is owed than is held
    (Balance(held=4, debt=5), 2, "write_off", (0, 0, 2)),
    (Balance(held=0, debt=9), 2, "write_off", (0, 0, 2)),
]
IN: Final[list[tuple[Balance, int, tuple[int, int]]]] = [
    (Balance(), 5, (5, 0)),
    (Balance(remaining=1), 5, (5, 0)),
    (Balance(debt=1), 5, (4, -1)),
    (Balance(debt=4), 5, (1, -4)),
    (Balance(debt=5), 5, (0, -5)),
    (Balance(debt=6), 5, (0, -5)),
]


def _moves(movement: Movement) -> tuple[int, int]:
    return movement.add.get("remaining", 0), movement.add.get("debt", 0)


@pytest.mark.parametrize(("balance", "units", "policy", "moved"), OUT, ids=str)
def test_units_that_are_clawed_back_remain_are_owed_or_are_given_up(
    balance: Balance, units: int, policy: ReversalPolicy, moved: tuple[int, int, int]
) -> None:
    """In this order, and never more of each than there is."""
    movement = go_out(balance, units, policy)
    assert (*_moves(movement), movement.written_off) == moved


@pytest.mark.parametrize(("balance", "units", "moved"), IN, ids=str)
def test_units_that_come_in_pay_what_is_owed_first(
    balance: Balance, units: int, moved: tuple[int, int]
) -> None:
    """Never more than is owed."""
    assert _moves(come_in(balance, units)) == moved
