"""What a debit or a hold takes of a balance, and on which conditions. It is pure."""

from dataclasses import replace
from typing import Final

import pytest
from billing.quota.balance import Balance
from billing.quota.key_use import KeyUse
from billing.spending.taking import Taking, taken_from, units_left
from billing.storage.writes import Must
from support.quota_rows import KEY, KEY_ID

EXTRA: Final = Must("low_at", "absent")
LIMITED: Final = Balance(remaining=9, held=2, used=1, keys={"uR6Cr": 1, "rR6Cr": 3})


@pytest.mark.parametrize(
    ("units", "at_least", "is_exact", "taken", "clauses"),
    [
        (4, 2, True, 3, (EXTRA, Must("rR6Cr", "==", 3))),
        (4, 2, False, 3, (EXTRA,)),
        (3, 2, True, 3, (EXTRA,)),
        (2, 2, True, 2, (EXTRA,)),
        (9, 5, True, 5, (EXTRA, Must("rR6Cr", "==", 3))),
        (9, 0, True, 9, (EXTRA,)),
    ],
)
def test_as_many_units_as_a_limit_leaves_are_taken_on_condition_that_it_leaves_those(
    units: int, at_least: int, taken: int, clauses: tuple[Must, ...], *, is_exact: bool
) -> None:
    """Where fewer than ``at_least`` are there, those are asked for and refused."""
    asked = Taking("alice", units, "held", KeyUse(KEY_ID), at_least, (EXTRA,))
    found = asked.as_in(LIMITED, is_exact=is_exact)
    key_there = KeyUse(KEY_ID, is_limited=True)
    assert found == Taking("alice", taken, "held", key_there, at_least, clauses)
    assert asked.least == (at_least or units)


def test_what_is_stored_of_a_limit_counts_where_a_hold_comes_back_in_the_same_write() -> None:
    asked = Taking("alice", 9, "held", KEY, 1)
    stored = Balance(keys={"uR6Cr": 1, "rR6Cr": 1})
    found = asked.as_in(LIMITED, is_exact=True, stored=stored)
    assert (found.units, found.clauses) == (3, (Must("rR6Cr", "==", 1),))


def test_without_a_limit_as_many_units_are_taken_as_remain() -> None:
    asked = Taking("alice", 20, "held", None, 1)
    assert asked.as_in(LIMITED, is_exact=True) == Taking("alice", 9, "held", None, 1)
    free = Balance(remaining=9, keys={"uR6Cr": 1, "rR6Cr": 10**12})
    for_key = Taking("alice", 20, "held", KEY, 1)
    assert for_key.as_in(free, is_exact=True) == Taking("alice", 9, "held", KEY, 1)


def test_a_key_can_take_no_more_than_its_limit_nor_than_its_account() -> None:
    limited = KeyUse(KEY_ID, is_limited=True)
    assert units_left(LIMITED, limited) == 3
    assert units_left(replace(LIMITED, remaining=2), limited) == 2
    assert units_left(LIMITED, KEY) == units_left(LIMITED, None) == 9


def test_units_that_are_taken_are_used_or_held() -> None:
    used = taken_from(LIMITED, Taking("alice", 2, "used", KEY))
    keys = {"uR6Cr": 3, "rR6Cr": 1}
    assert used == Balance(remaining=7, held=2, used=3, keys=keys)
    held = taken_from(LIMITED, Taking("alice", 2, "held", KEY))
    assert held == Balance(remaining=7, held=4, used=1, keys={"uR6Cr": 1, "rR6Cr": 1})
