"""What a write crosses, as a whole: events, marks, charges and clauses."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from billing.notices.crossings import NO_CROSSING, Crossing, cross
from billing.quota.balance import Balance
from billing.storage.writes import Must, absent, absent_or, equals
from support.fakes.memory_store import _holds

LOW = Balance(remaining=10)


def at_least(units: int) -> Must:
    """The clause that so many remain."""
    return Must("remaining", ">=", units)


def below(units: int) -> Must:
    """The clause that fewer remain."""
    return absent_or("remaining", "<", units)


@pytest.mark.parametrize(
    ("account", "units", "options", "found"),
    [
        (
            LOW,
            -1,
            {},
            Crossing(
                ("quota.low",),
                opens=False,
                set={"low_told": True},
                remove=(),
                must=(at_least(10), below(11), absent("low_at")),
            ),
        ),
        (
            replace(LOW, remaining=12),
            -1,
            {},
            Crossing((), opens=False, set={}, remove=(), must=(at_least(11), absent("low_at"))),
        ),
        (
            replace(LOW, remaining=5, low_at=3),
            -5,
            {},
            Crossing(
                ("quota.low", "quota.depleted"),
                opens=False,
                set={"low_told": True},
                remove=(),
                must=(at_least(3), below(6), equals("low_at", 3)),
            ),
        ),
        (
            replace(LOW, remaining=3, low_told=True),
            20,
            {"comes_in": True},
            Crossing(
                ("quota.recovered",),
                opens=False,
                set={},
                remove=("low_told",),
                must=(below(10), absent("low_at"), equals("low_told", value=True)),
            ),
        ),
        (
            replace(LOW, remaining=3),
            7,
            {"comes_in": True},
            Crossing(
                (),
                opens=False,
                set={},
                remove=(),
                must=(at_least(3), below(10), absent("low_at"), absent("low_told")),
            ),
        ),
        (LOW, 5, {}, Crossing((), opens=False, set={}, remove=(), must=(absent("low_at"),))),
        (LOW, 0, {}, NO_CROSSING),
        (LOW, 0, {"comes_in": True}, NO_CROSSING),
        (
            replace(LOW, remaining=8),
            -1,
            {"returned": 2},
            Crossing(
                ("quota.low",),
                opens=False,
                set={"low_told": True},
                remove=(),
                must=(at_least(8), below(9), absent("low_at")),
            ),
        ),
        (
            replace(LOW, remaining=20, top_up_at=20),
            -1,
            {"may_open": True},
            Crossing(
                (),
                opens=True,
                set={},
                remove=(),
                must=(
                    at_least(11),
                    absent("low_at"),
                    at_least(20),
                    below(21),
                    equals("top_up_at", 20),
                ),
            ),
        ),
        (
            replace(LOW, remaining=20),
            -1,
            {"may_open": True},
            Crossing(
                (),
                opens=False,
                set={},
                remove=(),
                must=(at_least(11), absent("low_at"), absent("top_up_at")),
            ),
        ),
        (
            replace(LOW, remaining=19, top_up_at=20),
            5,
            {"may_open": True},
            Crossing((), opens=False, set={}, remove=(), must=(absent("low_at"),)),
        ),
    ],
)
def test_each_write_has_its_whole_crossing(
    account: Balance, units: int, options: dict[str, Any], found: Crossing
) -> None:
    """No clause is missing, and none more refuses a concurrent debit."""
    crossing = cross(account, units, 10, **options)
    assert crossing == found
    assert all(type(value) is bool for value in (crossing.opens, *crossing.set.values()))


def test_where_no_events_go_out_only_a_charge_is_decided() -> None:
    """Neither a threshold nor a mark is in the way of a debit."""
    account = replace(LOW, top_up_at=10)
    assert cross(account, -1, None) == NO_CROSSING
    assert cross(account, -1, None, may_open=True) == Crossing(
        (),
        opens=True,
        set={},
        remove=(),
        must=(at_least(10), below(11), equals("top_up_at", 10)),
    )
    assert cross(account, 0, None, may_open=True) == NO_CROSSING
    assert cross(account, 1, None, may_open=True) == NO_CROSSING


def test_the_clauses_hold_exactly_where_a_low_account_recovers_the_same() -> None:
    """And they hold for the balance that was read."""
    for before, units, low_at in product(range(7), range(1, 7), range(6)):
        low = Balance(remaining=before, low_told=True)
        found = cross(low, units, low_at, comes_in=True)
        for now in range(13):
            item = {"remaining": now, "low_told": True}
            holds = all(_holds(must, item) for must in found.must)
            again = cross(replace(low, remaining=now), units, low_at, comes_in=True)
            assert not holds or again == found._replace(must=again.must), (before, now, units)
            assert holds or now != before


def test_the_clauses_hold_exactly_where_the_same_charge_is_opened() -> None:
    """Also where expired holds give units back in the same write."""
    for before, units, at, returned in product(range(7), range(-6, 0), range(1, 6), (0, 2)):
        account = Balance(remaining=before, top_up_at=at)
        if before + returned + units < 0:
            continue
        found = cross(account, units, None, may_open=True, returned=returned)
        for now in range(max(0, -units - returned), 12):
            item = {"remaining": now, "top_up_at": at}
            holds = all(_holds(must, item) for must in found.must)
            other = replace(account, remaining=now)
            again = cross(other, units, None, may_open=True, returned=returned)
            assert not holds or again.opens == found.opens, (before, now, units, at)
            assert holds or now != before
            assert not all(_holds(must, {**item, "top_up_at": at + 1}) for must in found.must)
