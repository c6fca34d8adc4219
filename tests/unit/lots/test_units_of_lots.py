"""How units of lots burn, are held, come back, are taken back and expire: lots in, lots out."""

from typing import Any, Final

import pytest
from billing.lots import burning
from billing.lots.burning import Burned, GivenBack, Lots
from billing.lots.lot import Lot

NOW: Final = 1000


def _lot(
    name: str,
    free: int,
    held: int = 0,
    expires_at: int = 0,
    *,
    is_void: bool = False,
    of: str = "",
) -> Lot:
    source = "purchase" if of else "grant"
    origin: Any = source
    return Lot(name, origin, 20, free, held, expires_at, 1, of or name, is_void=is_void)


def _key(name: str, expires_at: int = 0, bought: int = 0) -> str:
    return f"lot#{expires_at or 999999999999:012d}#{bought}#{1:016d}#{name}"


A: Final = _key("a", 1000)
B: Final = _key("b", 2000)
C: Final = _key("c")
THREE: Final = (_lot("a", 3, 1, 1000), _lot("b", 5, 2, 2000), _lot("c", 7, 3))


def _figures(lots: Lots) -> list[tuple[int, int]]:
    return [(lot.free, lot.held) for lot in lots]


def test_lots_are_put_in_the_order_of_burning() -> None:
    assert burning.in_order(reversed(THREE)) == THREE


@pytest.mark.parametrize(
    ("units", "free", "parts"),
    [
        (0, [3, 5, 7], {}),
        (-1, [3, 5, 7], {}),
        (1, [2, 5, 7], {A: 1}),
        (3, [0, 5, 7], {A: 3}),
        (4, [0, 4, 7], {A: 3, B: 1}),
        (15, [0, 0, 0], {A: 3, B: 5, C: 7}),
        (16, [0, 0, 0], {A: 3, B: 5, C: 7}),
    ],
)
def test_units_burn_from_the_first_lots_and_what_holds_have_stays(
    units: int, free: list[int], parts: dict[str, int]
) -> None:
    burned = burning.burn(THREE, units)
    assert _figures(burned.lots) == list(zip(free, [1, 2, 3], strict=True))
    assert burned.parts == parts
    assert burned.units == sum(parts.values())
    assert [lot.units for lot in burned.lots] == [20, 20, 20]


def test_held_units_are_set_aside_in_the_lots_that_they_are_from() -> None:
    held = burning.hold(THREE, 4)
    assert _figures(held.lots) == [(0, 4), (4, 3), (7, 3)]
    assert held.parts == {A: 3, B: 1}


def test_empty_lots_are_passed_over() -> None:
    lots = (_lot("a", 0, 1, 1000), _lot("b", 2, 0, 2000), _lot("c", 7))
    assert burning.burn(lots, 3).parts == {B: 2, C: 1}


@pytest.mark.parametrize(
    ("captured", "debt", "now", "given"),
    [
        (0, 0, 999, ([(4, 0), (7, 0), (10, 0)], 6, {}, {})),
        (0, 0, 1000, ([(3, 0), (7, 0), (10, 0)], 5, {A: 1}, {})),
        (0, 0, 2000, ([(3, 0), (5, 0), (10, 0)], 3, {A: 1, B: 2}, {})),
        (2, 0, 999, ([(3, 0), (6, 0), (10, 0)], 4, {}, {})),
        (2, 0, 2000, ([(3, 0), (5, 0), (10, 0)], 3, {B: 1}, {})),
        (6, 0, 2000, ([(3, 0), (5, 0), (7, 0)], 0, {}, {})),
        (0, 2, 2000, ([(3, 0), (5, 0), (10, 0)], 5, {B: 1}, {})),
        (0, 2, 999, ([(3, 0), (6, 0), (10, 0)], 6, {}, {})),
        (0, 9, 2000, ([(3, 0), (5, 0), (7, 0)], 6, {}, {})),
        (1, 1, 999, ([(3, 0), (6, 0), (10, 0)], 5, {}, {})),
    ],
)
def test_a_hold_uses_and_pays_debt_with_its_soonest_units_and_what_is_over_expires(
    captured: int,
    debt: int,
    now: int,
    given: tuple[list[tuple[int, int]], int, dict[str, int], dict[str, int]],
) -> None:
    """The hold has one unit of the first lot, two of the second, three of the last."""
    found = burning.close_hold(THREE, {C: 3, B: 2, A: 1}, captured, now, debt)
    assert (_figures(found.lots), found.back, found.expired, found.void) == given
    assert found.gone == sum(given[2].values())


def test_a_hold_gives_back_its_own_part_of_a_lot_alone() -> None:
    found = burning.close_hold(THREE, {C: 2}, 1, NOW)
    assert found == GivenBack((THREE[0], THREE[1], _lot("c", 8, 1)), back=1, expired={}, void={})


def test_units_of_a_voided_grant_are_taken_back_whatever_is_owed_and_however_late() -> None:
    lots = (_lot("a", 0, 4, 1000, is_void=True), _lot("b", 0, 5, 2000))
    found = burning.close_hold(lots, {A: 4, B: 5}, 1, 2000, debt=2)
    assert found == GivenBack(
        (_lot("a", 0, 0, 1000, is_void=True), _lot("b", 0, 0, 2000)),
        back=2,
        expired={B: 3},
        void={A: 3},
    )
    assert found.gone == 6


def test_a_voided_grant_of_which_all_was_captured_takes_nothing_back() -> None:
    lots = (_lot("a", 0, 4, 1000, is_void=True),)
    assert burning.close_hold(lots, {A: 4}, 4, 999).void == {}


def test_free_units_of_lots_whose_time_is_over_go_and_what_holds_have_stays() -> None:
    lots = (_lot("a", 3, 1, 1000), _lot("b", 0, 2, 1000), _lot("c", 7, 3, 1001), _lot("d", 1))
    assert burning.expire(lots, 1000) == Burned(
        (_lot("a", 0, 1, 1000), lots[1], lots[2], lots[3]), {A: 3}
    )
    assert burning.expire(lots, 999) == Burned(lots, {})


def test_a_purchase_is_taken_back_from_its_own_lots_alone_the_soonest_first() -> None:
    lots = (
        _lot("a", 3, 1, 1000, of="other"),
        _lot("b", 4, 1, 2000, of="p"),
        Lot("g", "grant", 20, 9, 0, 3000, 1, "p"),
        _lot("c", 5, of="p"),
    )
    own = (_key("b", 2000, 1), _key("c", 0, 1))
    assert burning.take_back(lots, "p", 6) == Burned(
        (lots[0], _lot("b", 0, 1, 2000, of="p"), lots[2], _lot("c", 3, of="p")),
        {own[0]: 4, own[1]: 2},
    )
    assert burning.take_back(lots, "p", 99).parts == {own[0]: 4, own[1]: 5}


def test_a_voided_grant_loses_its_free_units_and_no_other_lot_does() -> None:
    assert burning.void(THREE, B) == Burned(
        (THREE[0], _lot("b", 0, 2, 2000, is_void=True), THREE[2]), {B: 5}
    )
    spent = (_lot("b", 0, 2, 2000),)
    assert burning.void(spent, B) == Burned((_lot("b", 0, 2, 2000, is_void=True),), {})


@pytest.mark.parametrize(
    ("units", "own_free", "expired", "counted", "taken"),
    [
        (10, 4, 5, 0, 5),
        (10, 4, 9, 0, 6),
        (10, 4, 9, 7, 2),
        (10, 4, 9, 9, 0),
        (10, 4, 7, 9, 0),
        (3, 4, 5, 0, 0),
        (4, 4, 5, 0, 0),
        (5, 4, 5, 0, 1),
        (10, 0, 1, 0, 1),
    ],
)
def test_what_expired_counts_as_taken_back_once_after_what_is_still_free(
    units: int, own_free: int, expired: int, counted: int, taken: int
) -> None:
    assert burning.counted_as_taken_back(units, own_free, expired, counted) == taken


@pytest.mark.parametrize(
    ("expires_at", "away_since", "now", "expiry"),
    [
        (1000, 400, 900, 1500),
        (1000, 999, 1000, 1001),
        (1000, 400, 400, 1000),
        (1000, 400, 300, 1000),
        (1000, 1000, 1500, 0),
        (1000, 1001, 1500, 0),
        (0, 400, 900, 0),
    ],
)
def test_units_that_were_away_live_longer_by_the_time_that_they_were_away(
    expires_at: int, away_since: int, now: int, expiry: int
) -> None:
    assert burning.expiry_after_return(expires_at, away_since, now) == expiry
