"""What counts for API keys on an account's row: names, limits, and every change of them."""

from typing import Any, Final

import pytest
from billing.quota.balance import Balance
from billing.quota.key_use import (
    KeyLimitReachedError,
    KeyUse,
    give_back,
    gone,
    held_by_key,
    left,
    left_of_limit,
    limit_remaining,
    moved,
    name_of,
    spend,
    used,
    weight,
)
from billing.quota.movement import Movement
from billing.storage.writes import Must

KEY: Final = "key_000000000000000000000000"
OTHER: Final = "key_222222222222222222222222"


def test_a_keys_short_name_is_the_first_three_bytes_of_its_ids_hash() -> None:
    """Rows of years ago have it: it can never change."""
    assert (name_of(KEY), name_of(OTHER)) == ("R6Cr", "-lpp")
    assert KeyUse(KEY).name == "R6Cr"
    assert (used("R6Cr"), left("R6Cr"), gone("R6Cr")) == ("uR6Cr", "rR6Cr", "xR6Cr")


def test_each_short_name_has_a_number_above_zero_of_its_own() -> None:
    assert (weight("AAAA"), weight("AAAB"), weight("AABA"), weight("____")) == (1, 2, 65, 2**24)


@pytest.mark.parametrize(
    ("units", "limit", "shown"),
    [
        (7, 7, 7),
        (0, 0, 0),
        (-3, -3, 0),
        (10**9, 10**9, 10**9),
        (10**11 - 1, 10**11 - 1, 10**11 - 1),
        (10**11, None, None),
        (10**12, None, None),
        (10**12 - 10**9, None, None),
    ],
)
def test_what_is_left_of_a_limit_is_told_from_what_is_left_without_one(
    units: int, limit: int | None, shown: int | None
) -> None:
    """A limit is at most 10^9, and without one a key begins each day with 10^12."""
    balance = Balance(keys={"uR6Cr": 1, "rR6Cr": units, "r-lpp": 5})
    assert left_of_limit(balance, "R6Cr") == limit
    assert limit_remaining(balance, KeyUse(KEY)) == shown
    assert KeyUse(KEY).as_in(balance) == KeyUse(KEY, is_limited=limit is not None)
    assert KeyUse(KEY, is_limited=True).as_in(balance).is_limited is (limit is not None)


def test_a_key_that_is_not_counted_has_no_limit_and_nor_has_no_key() -> None:
    balance = Balance(keys={"u-lpp": 1, "r-lpp": 5})
    assert left_of_limit(balance, "R6Cr") is None
    assert limit_remaining(balance, KeyUse(KEY)) is None
    assert limit_remaining(balance, None) is None
    assert not KeyUse(KEY).is_limited
    assert not KeyUse(KEY).as_in(balance).is_limited


@pytest.mark.parametrize(("units", "shown"), [(3, 3), (1, 1), (0, 0), (-1, 0)])
def test_a_refusal_at_a_limit_says_no_less_than_nothing(units: int, shown: int) -> None:
    error = KeyLimitReachedError(units)
    assert (error.units_left, str(error)) == (shown, "the key's limit is reached")


ENOUGH: Final = Must("rR6Cr", ">=", 4)


def test_a_debit_counts_for_its_key_and_a_hold_counts_at_its_limit_alone() -> None:
    assert spend(KeyUse(KEY), 4, is_use=True) == Movement({"uR6Cr": 4, "rR6Cr": -4}, (ENOUGH,))
    assert spend(KeyUse(KEY), 4, is_use=False) == Movement({"rR6Cr": -4}, (ENOUGH,))
    assert spend(None, 4, is_use=True) == Movement({}, ())


def test_a_movement_changes_the_counters_that_it_names_and_no_figure() -> None:
    before = Balance(remaining=9, keys={"uR6Cr": 1, "rR6Cr": 8, "x-lpp": 2})
    movement = Movement({"uR6Cr": 4, "rR6Cr": -4, "r-lpp": 3, "remaining": 5})
    after = Balance(remaining=9, keys={"uR6Cr": 5, "rR6Cr": 4, "x-lpp": 2, "r-lpp": 3})
    assert moved(before, movement) == after
    assert moved(before, Movement({"remaining": 5})) == before


def test_held_units_come_back_to_the_limits_of_live_keys_alone() -> None:
    """On condition that those are live still, and the others not counted again."""
    balance = Balance(keys={"uR6Cr": 0, "rR6Cr": 6, "x-lpp": 1, "rbJqv": 1})
    assert give_back(balance, {"-lpp": 3, "R6Cr": 4, "bJqv": 1}) == Movement(
        {"rR6Cr": 4, "rbJqv": 1},
        (Must("r-lpp", "absent"), Must("rR6Cr", "exists"), Must("rbJqv", "exists")),
    )
    assert give_back(balance, {}) == Movement({}, ())


def test_the_units_of_holds_are_summed_for_each_key() -> None:
    rows: list[dict[str, Any]] = [
        {"units": 1, "key_id": KEY},
        {"units": 2},
        {"units": 4, "key_id": OTHER},
        {"units": 8, "key_id": KEY},
    ]
    assert held_by_key(rows) == {"R6Cr": 9, "-lpp": 4}
    assert held_by_key([]) == {}
