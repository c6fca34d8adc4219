"""What a hold has of lots: what is set aside, and whole what its end gives back and books."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from billing.lots.lot import EARLIER
from billing.notices.notice import Notice
from billing.quota import lot_holds
from billing.quota.balance import Balance
from billing.quota.lot_changes import NO_CHANGE, Change
from billing.quota.lot_holds import Closed
from billing.quota.lot_rows import Holdings
from billing.storage.writes import Must, Write
from support.quota_rows import EARLIER_KEY, NOW, NOW_EPOCH, key, lot

MOMENT: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PINNED: Final = (Must("lots_version", "==", 4),)
PLACE: Final = ("alice", "quota")


def _holdings(*lots: Any, is_all: bool = True, **figures: Any) -> Holdings:
    return Holdings("alice", Balance(lots_version=4, **figures), lots, is_all=is_all)


def _hold(units: int, item: str = "hold#000000000007#ab", **members: Any) -> dict[str, Any]:
    return {"user_id": "alice", "item": item, "units": units, "expires_at": 7, **members}


def test_holds_that_know_no_lots_demand_that_no_unit_can_expire() -> None:
    clause = Must("lots_exact", "==", 0, or_absent=True)
    assert lot_holds.name_no_lots(Balance()) == (clause,)
    assert lot_holds.name_no_lots(Balance(lots_exact=1)) == ()
    assert lot_holds.close_without_lots(Balance(), 5) == Closed(
        Change((), {}, {}, (), (clause,)), back=5
    )
    assert lot_holds.close_without_lots(Balance(lots_exact=1), 5) == Closed(NO_CHANGE, back=5)


def test_a_hold_names_the_lots_of_its_soonest_units_and_the_earlier_ones_have_no_row() -> None:
    lots = (lot("a", 3, 1, 9000), lot("b", 4, 0, 9500))
    held = _holdings(*lots, remaining=12, used=1, lots_left=8, lots_held=1, held=1)
    placed = lot_holds.place(held, 8)
    a, b = key("a", 9000), key("b", 9500)
    assert placed.parts == {a: 2, b: 4}
    assert placed.change == Change(
        rows=(
            Write(
                "quotas",
                ("alice", a),
                set={"free": 0, "held": 3},
                remove=("open",),
                must=(Must("free", "==", 3), Must("held", "==", 1)),
            ),
            Write(
                "quotas",
                ("alice", b),
                set={"free": 0, "held": 4},
                remove=("open",),
                must=(Must("free", "==", 4), Must("held", "==", 0)),
            ),
        ),
        set={},
        add={"lots_left": -1, "lots_held": 6, "lots_used": 1, "lots_version": 1},
        remove=("lots_due",),
        must=PINNED,
    )


def test_a_hold_names_sixteen_lots_and_leaves_the_others_as_they_are() -> None:
    """Beside a row and an event of each, the transaction that ends it stays within a hundred."""
    lots = [lot(f"{number:02d}", 1, 0, 9000 + number) for number in range(18)]
    placed = lot_holds.place(_holdings(*lots, remaining=18, lots_left=18), 18)
    assert list(placed.parts) == [key(f"{number:02d}", 9000 + number) for number in range(16)]
    assert len(placed.change.rows) == 16
    assert placed.change.add == {"lots_held": 16, "lots_version": 1}
    assert placed.change.set == {"lots_due": 9016}


def _of(*numbers: int) -> list[dict[str, Any]]:
    return [
        _hold(1, parts={f"lot#{place}{part}": 1 for part in range(number)})
        for place, number in enumerate(numbers)
    ]


@pytest.mark.parametrize(
    ("numbers", "ended"),
    [
        ((), 0),
        ((0,), 1),
        ((16,), 1),
        ((40,), 1),
        ((8, 8), 2),
        ((8, 9), 1),
        ((8, 7, 1, 0, 1), 4),
        ((0, 17), 1),
        ((0, 16, 0, 1), 3),
        ((1,) * 8, 8),
        ((1,) * 9, 8),
        ((2,) * 9, 8),
        ((3,) * 9, 5),
    ],
)
def test_holds_end_together_up_to_eight_and_sixteen_lots(
    numbers: tuple[int, ...], ended: int
) -> None:
    assert lot_holds.how_many(_of(*numbers)) == ended


def test_a_hold_that_names_no_lots_ends_with_others() -> None:
    assert lot_holds.how_many([_hold(1), *_of(16), _hold(1)]) == 3


def test_lots_are_read_up_to_the_last_that_a_hold_names() -> None:
    assert lot_holds.through(_of(2, 3, 1)) == "lot#20"
    assert lot_holds.through([_hold(1), *_of(2), _hold(1)]) == "lot#01"
    assert lot_holds.through([_hold(1)]) == ""
    assert lot_holds.through([]) == ""


def test_units_that_a_hold_does_not_name_never_expire() -> None:
    """Nor do those whose lot's row a restore has lost, or has put back with fewer."""
    lots = (lot("a", 3, 2, 9000), lot("b", 4, 9, 9500))
    a, b, lost = key("a", 9000), key("b", 9500), key("lost", 9100)
    row = _hold(20, parts={a: 5, lost: 4, b: 3})
    assert lot_holds.parts_of(row, lots) == {a: 2, lost: 0, b: 3, EARLIER_KEY: 15}
    assert lot_holds.parts_of(_hold(20), lots) == {EARLIER_KEY: 20}


def _entry(name: str, **values: Any) -> Write:
    return Write("ledger", ("alice", name), set=values, must=(Must("user_id", "absent"),))


def test_the_end_of_two_holds_gives_back_pays_debt_and_books_what_is_over() -> None:
    """The second pays what the first has left of the debt."""
    over, later = lot("a", 0, 5, NOW_EPOCH), lot("b", 0, 4, NOW_EPOCH + 1)
    void = lot("v", 0, 3, 0, is_void=True)
    a, b, v = over.key, later.key, void.key
    rows = [
        _hold(3, "hold#000000000007#aa", parts={a: 2}),
        _hold(9, "hold#000000000008#bb", parts={a: 3, b: 2, v: 3}),
    ]
    held = _holdings(over, later, void, held=12, debt=4, lots_left=12, lots_held=12, lots_exact=1)
    closed = lot_holds.close(held, rows, 0, MOMENT)
    assert (closed.back, closed.gone) == (7, 5)
    expired = {
        "type": "expired",
        "reference_type": "lot",
        "reference_id": "a",
        "booked_at": NOW,
    }
    assert closed.entries == (
        _entry("expired:a:hold#000000000008#bb", units=-2, **expired),
        _entry(
            "voided:v:hold#000000000008#bb",
            type="adjusted",
            units=-3,
            reference_type="grant",
            reference_id="v",
            booked_at=NOW,
        ),
    )
    assert closed.notices == (
        Notice(
            "units.expired",
            {
                "lot_id": "a",
                "source": "grant",
                "units": 20,
                "left": 0,
                "expires_at": NOW,
                "reference_id": "a",
            },
        ),
    )
    assert closed.change.add == {"lots_left": -8, "lots_held": -10, "lots_version": 1}
    assert closed.change.set == {"lots_due": NOW_EPOCH + 1}
    assert [(row.key[1], dict(row.set), row.delete) for row in closed.change.rows] == [
        (a, {}, True),
        (b, {"free": 2, "held": 2, "open": "expires_7"}, False),
        (v, {}, True),
    ]


def test_captured_units_are_burned_with_what_was_used_before() -> None:
    a = lot("a", 6, 4, NOW_EPOCH + 9)
    held = _holdings(a, held=4, remaining=6, used=5, lots_used=3, lots_left=12, lots_held=4)
    closed = lot_holds.close(held, [_hold(4, parts={a.key: 4})], 3, MOMENT)
    assert (closed.back, closed.gone, closed.entries, closed.notices) == (1, 0, (), ())
    assert closed.change.add == {
        "lots_left": -5,
        "lots_held": -4,
        "lots_used": 5,
        "lots_version": 1,
    }
    nothing = _holdings(a, held=4, remaining=6, lots_left=10, lots_held=4)
    closed = lot_holds.close(nothing, [_hold(4, parts={a.key: 4})], 3, MOMENT)
    assert closed.change.add["lots_used"] == 3
    released = lot_holds.close(nothing, [_hold(4, parts={a.key: 4})], 0, MOMENT)
    assert "lots_used" not in released.change.add


def test_units_that_leave_the_account_with_a_hold_are_booked_on_it() -> None:
    account = Write("quotas", PLACE, set={"updated_at": NOW}, add={"held": -4})
    assert Closed(NO_CHANGE, 4).beside(account) == account
    assert Closed(NO_CHANGE, 1, 3).beside(account) == Write(
        "quotas", PLACE, set={"updated_at": NOW, "booked_at": NOW}, add={"held": -4, "total": -3}
    )
    changed = Change((), {"lots_due": 7}, {"lots_left": -3}, (), PINNED)
    assert Closed(changed, 1, 3).beside(account) == Write(
        "quotas",
        PLACE,
        set={"updated_at": NOW, "booked_at": NOW, "lots_due": 7},
        add={"held": -4, "lots_left": -3, "total": -3},
        must=PINNED,
    )


def test_units_of_before_there_were_lots_come_back_without_a_row() -> None:
    held = _holdings(held=5, remaining=2, lots_exact=1)
    closed = lot_holds.close(held, [_hold(5)], 2, MOMENT)
    assert (closed.back, closed.change.rows) == (3, ())
    assert EARLIER.key == EARLIER_KEY
