"""What a purchase, its clawbacks and their return do to an account's lots."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest
from billing.lots.lot import Lot
from billing.payments.payment import Payment, Phase
from billing.quota.balance import Balance
from billing.quota.lot_changes import NO_CHANGE, Change
from billing.quota.lot_rows import Holdings
from billing.quota.movement import Movement
from billing.settlement import purchased_lots
from support.transcripts import transcript

NOW: Final = datetime(2026, 1, 2, 3, 4, 5, 1, tzinfo=UTC)
SECOND: Final = 1767323045
DAY: Final = 86_400
PAYMENT: Final = Payment(
    payment_id="pay_1",
    user_id="alice",
    plan="dated",
    quota=100,
    amount_minor=999,
    currency="usd",
    created_at="2026-01-01T00:00:00.000000Z",
    session_id="cs_1",
    phase=Phase.PAID,
    completed_at="2026-01-02T03:04:05.000000Z",
    expires_after_days=30,
    lot_expires_at=SECOND + 30 * DAY,
)
FIRST: Final = Lot("purchase:pay_1:0000", "purchase", 100, 60, 5, SECOND + 30 * DAY, 1, "cs_1")
SECOND_LOT: Final = replace(FIRST, lot_id="purchase:pay_1:0002", free=7, held=0,
                            expires_at=SECOND + 40 * DAY)  # fmt: skip
OTHER: Final = replace(FIRST, lot_id="purchase:pay_2:0000", reference_id="cs_2", free=11,
                       expires_at=SECOND + 50 * DAY)  # fmt: skip
GRANT: Final = replace(FIRST, lot_id="grant:1", source="grant", free=13)


def _holdings(*lots: Lot, balance: Balance | None = None) -> Holdings:
    left = sum(lot.left for lot in lots)
    held = sum(lot.held for lot in lots)
    found = balance or Balance(
        remaining=left - held, held=held, lots_left=left, lots_held=held, lots_version=3
    )
    return Holdings("alice", found, tuple(lots), is_all=True)


@pytest.mark.parametrize(
    ("number", "name"), [(0, "purchase:pay_1:0000"), (12, "purchase:pay_1:0012")]
)
def test_lots_of_one_purchase_are_numbered(number: int, name: str) -> None:
    """Four digits, so that they sort as they came in."""
    assert purchased_lots.lot_id(PAYMENT, number) == name


def test_the_free_units_of_a_purchase_are_those_of_its_own_lots() -> None:
    """Not of another purchase, and not of a grant, whatever its reference."""
    holdings = _holdings(FIRST, SECOND_LOT, OTHER, GRANT)
    assert purchased_lots.own_free(PAYMENT, holdings) == 67


def test_a_purchase_that_pays_debt_comes_in_with_the_rest_of_its_units() -> None:
    """It says how many were bought."""
    movement = Movement({"remaining": 40, "debt": -60})
    lotted = purchased_lots.fund(PAYMENT, movement, _holdings(OTHER), NOW)
    assert lotted.payment == replace(PAYMENT, lot_expires_at=1769915046)
    assert (
        transcript(lotted.change.rows)
        == """\
quotas alice / lot#001769915046#1#1767323045000000#purchase:pay_1:0000
  set created_us = 1767323045000000, expires_at = 1769915046, free = 40, held = 0, lot_id =
    'purchase:pay_1:0000', open = 'expires_7', reference_id = 'cs_1', source = 'purchase', units
    = 100
  must user_id absent
"""
    )
    assert lotted.change.add == {"lots_left": 40, "lots_version": 1}
    assert lotted.change.set == {"lots_due": 1769915046, "lots_exact": 1}


def test_a_purchase_that_only_pays_debt_brings_no_lot() -> None:
    movement = Movement({"remaining": 0, "debt": -100})
    lotted = purchased_lots.fund(PAYMENT, movement, _holdings(OTHER), NOW)
    assert lotted.change == NO_CHANGE
    assert lotted.payment.lot_expires_at == 1769915046


def test_units_that_never_expire_come_in_after_all_others() -> None:
    """Nothing was read, and nothing else is written."""
    payment = replace(PAYMENT, expires_after_days=0, lot_expires_at=0)
    lotted = purchased_lots.fund(payment, Movement({"remaining": 100}), None, NOW)
    assert lotted.payment == payment
    assert (
        transcript(lotted.change.rows)
        == """\
quotas alice / lot#999999999999#1#1767323045000000#purchase:pay_1:0000
  set created_us = 1767323045000000, expires_at = 0, free = 100, held = 0, lot_id =
    'purchase:pay_1:0000', reference_id = 'cs_1', source = 'purchase', units = 100
  must user_id absent
"""
    )
    assert lotted.change == Change(
        lotted.change.rows, {}, {"lots_left": 100, "lots_version": 1}, (), ()
    )


def test_a_clawback_takes_from_its_own_lots_first_and_then_as_a_debit_does() -> None:
    """67 of 80 are its own: 13 are used up as if a debit had taken them."""
    holdings = _holdings(FIRST, SECOND_LOT, OTHER)
    lotted = purchased_lots.claw_back(PAYMENT, 80, holdings, NOW)
    assert lotted.change.add == {"lots_left": -67, "lots_used": -13, "lots_version": 1}
    assert (
        transcript(lotted.change.rows)
        == f"""\
quotas alice / {FIRST.key}
  set free = 0
  remove open
  must free == 60, held == 5
quotas alice / {SECOND_LOT.key}
  delete the row
  must free == 7, held == 0
"""
    )


def test_a_clawback_burns_what_was_used_since_lots_were_burned_last() -> None:
    """5 of its own were used: 62 are left to take, and 18 more are used up."""
    used = Balance(remaining=73, used=5, held=10, lots_left=88, lots_held=10, lots_version=3)
    holdings = _holdings(FIRST, SECOND_LOT, OTHER, balance=used)
    lotted = purchased_lots.claw_back(PAYMENT, 80, holdings, NOW)
    assert lotted.change.add == {"lots_left": -67, "lots_used": -13, "lots_version": 1}


def test_a_clawback_of_its_own_units_burns_nothing_else() -> None:
    lotted = purchased_lots.claw_back(PAYMENT, 67, _holdings(FIRST, SECOND_LOT, OTHER), NOW)
    assert lotted.change.add == {"lots_left": -67, "lots_version": 1}


@pytest.mark.parametrize(
    ("lots", "expires_at"),
    [
        ((FIRST, SECOND_LOT, OTHER), SECOND + 40 * DAY),
        ((FIRST, OTHER, GRANT), SECOND + 30 * DAY),
        ((OTHER, GRANT), SECOND + 30 * DAY),
        ((FIRST, replace(SECOND_LOT, free=0)), SECOND + 30 * DAY),
        ((FIRST, replace(SECOND_LOT, free=0, held=1)), SECOND + 40 * DAY),
        ((FIRST, replace(SECOND_LOT, expires_at=0)), 0),
        ((), SECOND + 30 * DAY),
    ],
)
def test_the_first_clawback_notes_when_the_last_own_units_would_expire(
    lots: tuple[Lot, ...], expires_at: int
) -> None:
    """Of the lots with something in them; never, where one of them never does."""
    lotted = purchased_lots.claw_back(PAYMENT, 10, _holdings(*lots), NOW)
    assert lotted.payment == replace(PAYMENT, away_since=SECOND, lot_expires_at=expires_at)


def test_a_later_clawback_changes_no_time() -> None:
    """The units are away since the first."""
    away = replace(PAYMENT, away_since=SECOND - 5)
    lotted = purchased_lots.claw_back(away, 10, _holdings(FIRST, SECOND_LOT), NOW)
    assert lotted.payment == away


AWAY: Final = replace(
    PAYMENT, away_since=SECOND - 2 * DAY, movements=4, units_clawed_back=20, units_expired=5
)


def test_units_that_come_back_have_the_time_added_that_they_were_away() -> None:
    """They are a lot of their own, numbered as the movement; part of them is away still."""
    movement = Movement({"remaining": 30, "debt": -10})
    lotted = purchased_lots.give_back(AWAY, movement, _holdings(OTHER), NOW)
    assert lotted.payment == AWAY
    expires_at = SECOND + 32 * DAY
    assert (
        transcript(lotted.change.rows)
        == f"""\
quotas alice / lot#00{expires_at}#1#1767323045000000#purchase:pay_1:0004
  set created_us = 1767323045000000, expires_at = {expires_at}, free = 30, held = 0, lot_id =
    'purchase:pay_1:0004', open = 'expires_7', reference_id = 'cs_1', source = 'purchase', units
    = 30
  must user_id absent
"""
    )
    assert lotted.change.add == {"lots_left": 30, "lots_version": 1}
    assert lotted.change.set == {"lots_due": expires_at, "lots_exact": 1}


def test_units_that_never_expired_come_back_as_such() -> None:
    never = replace(AWAY, lot_expires_at=0)
    lotted = purchased_lots.give_back(never, Movement({"remaining": 30}), _holdings(), NOW)
    (row,) = lotted.change.rows
    assert (row.set["expires_at"], lotted.change.set) == (0, {})


@pytest.mark.parametrize("units", [0, 30])
def test_once_all_are_back_none_is_away(units: int) -> None:
    """What had expired stays away for ever. What only pays debt brings no lot."""
    back = replace(AWAY, units_clawed_back=5)
    lotted = purchased_lots.give_back(back, Movement({"remaining": units}), _holdings(), NOW)
    assert lotted.payment == replace(back, away_since=0)
    assert bool(lotted.change.rows) is bool(units)
    none = purchased_lots.give_back(back, Movement({"debt": -30}), _holdings(), NOW)
    assert none.change == NO_CHANGE
