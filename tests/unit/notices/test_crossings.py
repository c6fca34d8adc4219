"""Which thresholds a write crosses: every start, every move, every threshold."""

from itertools import product

import pytest
from billing.notices.crossings import cross
from billing.quota.balance import Balance
from support.fakes.memory_store import _holds


@pytest.mark.parametrize(
    ("before", "units", "low_at", "tells"),
    [
        (10, -1, 10, ["quota.low"]),
        (11, -1, 10, []),
        (9, -1, 10, []),
        (10, -10, 10, ["quota.low", "quota.depleted"]),
        (3, -3, 0, ["quota.depleted"]),
        (3, -2, 0, []),
        (0, 0, 10, []),
    ],
)
def test_a_write_that_takes_units_tells_what_it_crosses(
    before: int, units: int, low_at: int, tells: list[str]
) -> None:
    found = cross(Balance(remaining=before), units, low_at, comes_in=False)
    assert list(found.tells) == tells


def test_recovered_is_told_once_after_low_and_only_when_units_come_in() -> None:
    low = Balance(remaining=3, low_told=True)
    assert cross(low, 20, 10, comes_in=True).tells == ("quota.recovered",)
    assert cross(low, 20, 10, comes_in=True).remove == ("low_told",)
    assert cross(low, 20, 10, comes_in=False).tells == (), "a hold's return tells nothing"
    assert cross(low, 6, 10, comes_in=True).tells == (), "it is low still"
    assert cross(Balance(remaining=3), 20, 10, comes_in=True).tells == (), "low was not told"


def test_a_customers_own_threshold_counts_and_zero_is_never() -> None:
    assert cross(Balance(remaining=5, low_at=5), -1, 0, comes_in=False).tells == ("quota.low",)
    assert cross(Balance(remaining=50, low_at=0), -1, 50, comes_in=False).tells == ()


def test_the_clauses_hold_exactly_where_the_decision_is_the_same() -> None:
    """Whatever concurrent debits make of the balance: where the clauses hold, the same is told;
    and they hold for the balance that was read.
    """
    for before, units, low_at, comes_in in product(range(7), range(-6, 7), range(6), (False, True)):
        if before + units < 0 or (comes_in and units < 0):
            continue
        found = cross(Balance(remaining=before), units, low_at, comes_in=comes_in)
        for now in range(max(0, -units), 9):
            item = {"remaining": now}
            holds = all(_holds(must, item) for must in found.must)
            same = cross(Balance(remaining=now), units, low_at, comes_in=comes_in).tells
            assert not holds or same == found.tells, (before, now, units, low_at)
            assert holds or now != before


@pytest.mark.parametrize("before", [9, 10, 11])
def test_only_an_account_that_was_low_recovers(before: int) -> None:
    """The mark of an account that is not low any more is a hold's return's to take away."""
    found = cross(Balance(remaining=before, low_told=True), 5, 10, comes_in=True)
    assert list(found.tells) == (["quota.recovered"] if before < 10 else [])
    assert found.remove == (("low_told",) if before < 10 else ())
