"""Holds on accounts with lots, and what is told of a debit or of the end of a hold."""

from typing import Any

import pytest
from billing.expiry import hold_expiry
from billing.holds import closing, hold, placing
from billing.quota.balance import Balance
from billing.spending import debits, memory
from billing.storage.writes import Must, Write
from support.quota_rows import ACCOUNT, NOW, NOW_EPOCH, World, key, lot


def _seven(world: World, held: int = 0, **figures: Any) -> list[str]:
    """Seven lots of three units that expire one after another."""
    lots = [lot(str(one), 3 - held, held, NOW_EPOCH + 90 + one) for one in range(7)]
    for one in lots:
        world.keep(one.key, **one.to_item())
    due = {} if held == 3 else {"lots_due": NOW_EPOCH + 90}
    both = {"lots_left": 21, "lots_held": 7 * held, "lots_exact": 1, **due}
    world.has(total=21, remaining=21 - 7 * held, held=7 * held, **both, **figures)
    return [one.key for one in lots]


def test_a_hold_reaches_as_many_lots_as_it_needs(world: World) -> None:
    names = _seven(world)
    placing.place(world.meter, "alice", 20, 60)
    rows = world.store.tables["quotas"]
    (hold,) = [row for _, row in rows.items() if row["item"].startswith("hold#")]
    assert hold["parts"] == {**dict.fromkeys(names[:6], 3), names[6]: 2}
    assert (rows["alice", names[6]]["free"], rows["alice", names[6]]["held"]) == (1, 2)
    assert (world.row["lots_held"], world.row["lots_due"]) == (20, NOW_EPOCH + 96)


def test_a_hold_of_one_of_many_lots_reads_the_first_of_them_alone(world: World) -> None:
    names = _seven(world)
    assert world.calls(lambda: placing.place(world.meter, "alice", 3, 60)) == 3
    assert "held" in world.store.tables["quotas"]["alice", names[0]]


@pytest.mark.parametrize("ended", ["captured", "released", "expired"])
def test_what_a_hold_has_of_a_later_lot_comes_back_to_it(world: World, ended: str) -> None:
    names = _seven(world, held=1, holds_due=NOW_EPOCH + 60, holds_placed=1)
    row = world.holds(1, 7, 60, parts=dict.fromkeys(names, 1))
    hold_id = str(hold.HoldId("alice", row["expires_at"], row["item"][-16:]))
    if ended == "captured":
        closing.capture(world.meter, hold_id, 2)
    elif ended == "released":
        closing.release(world.meter, hold_id)
    else:
        world.clock.advance(seconds=60)
        seen = Balance.from_item(world.row)
        hold_expiry.give_back_expired(world.books, "alice", seen)
    last = world.store.tables["quotas"]["alice", names[6]]
    assert (last["free"], last["held"]) == (3, 0)
    assert world.row["lots_held"] == 0
    used = 2 if ended == "captured" else 0
    assert (world.row["lots_left"], world.row.get("lots_used", 0)) == (21 - used, used)


def test_holds_with_many_lots_expire_in_parts_and_the_next_one_is_due(world: World) -> None:
    names = _seven(world, held=3, holds_due=NOW_EPOCH, holds_placed=3)
    for number in range(3):
        world.holds(number, 7, 0, parts=dict.fromkeys(names, 1))
    seen = Balance.from_item(world.row)
    batch = hold_expiry.ExpiredHolds.read(world.books, "alice", seen)
    assert batch.account.add["held"] == -14
    assert batch.account.set["holds_due"] == NOW_EPOCH
    assert (batch.after.held, batch.after.remaining) == (7, 14)
    hold_expiry.give_back_expired(world.books, "alice", seen)
    assert (world.row["held"], world.row["remaining"]) == (0, 21)


def test_a_hold_that_ends_after_its_lot_tells_and_books_that_it_expired(world: World) -> None:
    """In the transaction that gives the rest back."""
    world.tells(low_at=0)
    over = lot("a", 0, 5, NOW_EPOCH)
    world.keep(over.key, **over.to_item())
    figures = {"lots_left": 5, "lots_held": 5, "lots_exact": 1, "told": 6}
    world.has(total=9, remaining=4, held=5, holds_due=NOW_EPOCH + 60, **figures)
    row = world.holds(1, 5, 60, parts={over.key: 5})
    closing.capture(world.meter, str(hold.HoldId("alice", row["expires_at"], row["item"][-16:])), 2)
    account, _, _, lot_row, entry, event = world.only
    assert account == Write(
        "quotas",
        ACCOUNT,
        set={"updated_at": NOW, "booked_at": NOW},
        add={
            "held": -5,
            "used": 2,
            "remaining": 0,
            "lots_left": -5,
            "lots_held": -5,
            "lots_used": 2,
            "lots_version": 1,
            "total": -3,
            "told": 1,
        },
        remove=("lots_due",),
        must=(
            Must("debt", "==", 0, or_absent=True),
            Must("lots_version", "==", 0, or_absent=True),
            Must("told", "==", 6),
        ),
    )
    assert (lot_row.key, lot_row.delete) == (("alice", key("a", NOW_EPOCH)), True)
    assert entry.key[1] == f"expired:a:{row['item']}"
    assert (event.set["type"], event.set["sequence"]) == ("units.expired", 7)


def test_a_hold_that_ends_where_events_go_out_tells_nothing_and_demands_no_more(
    world: World,
) -> None:
    world.tells(low_at=9)
    world.has(remaining=8, held=5, holds_due=NOW_EPOCH + 60)
    row = world.holds(1, 5)
    closing.release(world.meter, str(hold.HoldId("alice", row["expires_at"], row["item"][-16:])))
    account, *_ = world.only
    assert account.must == (
        Must("debt", "==", 0, or_absent=True),
        Must("lots_exact", "==", 0, or_absent=True),
    )
    assert world.events() == []


def test_a_debit_that_crosses_demands_the_figures_that_its_event_shows(world: World) -> None:
    world.tells(low_at=5)
    seen = world.has(total=10, remaining=6, used=3, held=1, told=6)
    memory.remember("alice", seen)
    debits.debit(world.meter, "alice", 2)
    account, event = world.only
    same = {"remaining": 6, "used": 3, "held": 1}
    for name, units in same.items():
        assert Must(name, "==", units) in account.must
    assert account.add == {"remaining": -2, "used": 2, "told": 1}
    assert (event.set["data"]["remaining"], event.set["data"]["used"]) == (4, 5)


def test_the_number_of_the_last_event_is_remembered(world: World) -> None:
    """Two crossings one after another are one transaction each."""
    world.tells(low_at=5)
    world.has(total=10, remaining=10)
    placing.place(world.meter, "alice", 1, 60)
    assert world.calls(lambda: debits.debit_once(world.meter, "alice", 5, "b", "k")) == 1
    assert world.calls(lambda: debits.debit_once(world.meter, "alice", 4, "b", "l")) == 1
    assert world.events() == [(1, "quota.low"), (2, "quota.depleted")]


def test_lots_that_are_over_are_told_in_every_part_before_a_debit(world: World) -> None:
    """The last part is in the debit's own transaction."""
    world.tells(low_at=0)
    for number in range(31):
        one = lot(f"{number:03d}", 1, 0, NOW_EPOCH)
        world.keep(one.key, **one.to_item())
    figures = {"lots_left": 31, "lots_due": NOW_EPOCH, "lots_exact": 1}
    seen = world.has(total=40, remaining=40, **figures)
    memory.remember("alice", seen)
    assert debits.debit(world.meter, "alice", 2).remaining == 7
    first, second = world.store.transactions
    assert (len(first), len(second)) == (1 + 3 * 30, 1 + 3)
    assert world.events() == [(number, "units.expired") for number in range(1, 32)]
    assert (world.row["total"], world.row["used"], world.row["told"]) == (9, 2, 31)
