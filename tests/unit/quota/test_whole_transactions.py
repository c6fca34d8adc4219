"""Whole transactions: every row, condition and answer of what takes units and gives them back."""

from typing import Any, Final

import pytest
from billing.errors import BillingError
from billing.expiry import hold_expiry
from billing.expiry.hold_expiry import ExpiredHolds
from billing.holds import closing, placing
from billing.holds.hold import ClosedHold, Hold, HoldId
from billing.spending import debits, memory
from billing.spending.debits import Debit
from billing.storage.writes import Must, Write
from support.quota_rows import ACCOUNT, KEY, KEY_ID, NEW, NOW, NOW_EPOCH, TODAY, World, is_


def _account(
    add: dict[str, int],
    *must: Must,
    remove: tuple[str, ...] = (),
    **values: Any,
) -> Write:
    changed = {"updated_at": NOW, **values}
    return Write("quotas", ACCOUNT, set=changed, add=add, remove=remove, must=must)


NONE_DUE: Final = (
    Must("holds_due", ">", NOW_EPOCH, or_absent=True),
    Must("lots_due", ">", NOW_EPOCH, or_absent=True),
    Must("use_day", ">=", TODAY),
)
NO_LOTS: Final = Must("lots_exact", "==", 0, or_absent=True)
NO_DEBT: Final = Must("debt", "==", 0, or_absent=True)


def _enough(units: int) -> tuple[Must, ...]:
    return (Must("remaining", ">=", units), *NONE_DUE)


def test_a_plain_debit_is_one_conditional_write(world: World) -> None:
    world.has(total=10, remaining=10)
    said = debits.debit(world.meter, "alice", 3)
    assert said == Debit(said.debit_id, 3, 7, None, idempotent_replayed=False)
    assert said.debit_id.startswith("deb_019b7ca98c88")
    assert world.only == (_account({"remaining": -3, "used": 3}, *_enough(3)),)
    assert world.store.calls == 1


def test_a_debit_for_a_key_counts_for_it_in_the_same_write(world: World) -> None:
    world.has(remaining=10, keys_changed=1, uR6Cr=2, rR6Cr=5)
    said = debits.debit(world.meter, "alice", 3, KEY)
    assert (said.remaining, said.limit_remaining) == (7, 2)
    counted = {"remaining": -3, "used": 3, "uR6Cr": 3, "rR6Cr": -3}
    enough = (*_enough(3), Must("rR6Cr", ">=", 3))
    assert world.only == (_account(counted, *enough),)


def test_a_debit_under_an_idempotency_key_keeps_its_answer_in_the_same_transaction(
    world: World,
) -> None:
    """On condition of what was seen to remain, and for thirty days."""
    world.has(remaining=10)
    said = debits.debit_once(world.meter, "alice", 3, "backend", "k")
    account, kept = world.only
    assert account == _account({"remaining": -3, "used": 3}, *_enough(3), is_("remaining", 10))
    name = "debit#c4397c8748b989c2a1081ff6ae46230b699eabfc1914bcca14050f0b9d62a080"
    values = {
        "answer": {"debit_id": said.debit_id, "units": 3, "remaining": 7},
        "body": "dded32f593627134f864d72a191074b2c0ec844116ce451e8e3211ad80b8b3f6",
        "ttl": NOW_EPOCH + 30 * 24 * 3600,
    }
    assert kept == Write("quotas", (name, "debit"), set=values, must=NEW)
    assert world.store.cleared_up == [True]
    again = debits.debit_once(world.meter, "alice", 3, "backend", "k")
    assert again == Debit(said.debit_id, 3, 7, None, idempotent_replayed=True)


def test_the_api_key_is_a_part_of_what_an_idempotency_key_stands_for(world: World) -> None:
    world.has(remaining=10, keys_changed=1, uR6Cr=2, rR6Cr=5)
    said = debits.debit_once(world.meter, "alice", 3, "backend", "k", api_key=KEY)
    assert said.limit_remaining == 2
    _, kept = world.only
    assert kept.set["body"] == "d864126ace26e2d3d70b0a4044988c2e664bda948fb70bd3174db140d86d2404"
    assert kept.set["answer"]["limit_remaining"] == 2
    with pytest.raises(BillingError, match="idempotency_conflict"):
        debits.debit_once(world.meter, "alice", 3, "backend", "k")


def test_a_hold_is_its_row_and_the_accounts_write(world: World) -> None:
    world.has(remaining=10)
    said = placing.place(world.meter, "alice", 4, 60)
    account, row = world.only
    found = HoldId.parse(said.hold_id)
    assert said == Hold(said.hold_id, 4, 6, "2026-01-02T03:05:05.000000Z", None)
    assert (found.user_id, found.expires_at, len(found.random)) == ("alice", NOW_EPOCH + 60, 16)
    assert account == _account(
        {"remaining": -4, "held": 4, "holds_placed": 1},
        *_enough(4),
        is_("remaining", 10),
        Must("holds_due", "absent"),
        NO_LOTS,
        holds_due=NOW_EPOCH + 60,
    )
    values = {"units": 4, "expires_at": NOW_EPOCH + 60, "open": "open"}
    place = ("alice", f"hold#{NOW_EPOCH + 60:012d}#{found.random}")
    assert row == Write("quotas", place, set=values, must=NEW)
    assert world.store.cleared_up == [True]


def test_a_hold_for_a_key_names_it_and_counts_at_its_limit(world: World) -> None:
    world.has(remaining=10, keys_changed=1, uR6Cr=2, rR6Cr=5)
    said = placing.place(world.meter, "alice", 4, 60, key=KEY)
    assert said.limit_remaining == 1
    account, row = world.only
    assert account.add == {"remaining": -4, "held": 4, "rR6Cr": -4, "holds_placed": 1}
    assert Must("rR6Cr", ">=", 4) in account.must
    assert dict(row.set) == {
        "units": 4,
        "expires_at": NOW_EPOCH + 60,
        "open": "open",
        "key_id": KEY_ID,
    }


@pytest.mark.parametrize(
    ("seen", "due", "clause"),
    [
        (61, 60, is_("holds_due", NOW_EPOCH + 61)),
        (60, 60, Must("holds_due", "<=", NOW_EPOCH + 60)),
        (59, 59, Must("holds_due", "<=", NOW_EPOCH + 60)),
    ],
)
def test_the_first_end_of_a_hold_is_kept_on_condition_of_what_was_seen(
    world: World, seen: int, due: int, clause: Must
) -> None:
    world.has(remaining=10, held=1, holds_due=NOW_EPOCH + seen, holds_placed=4)
    placing.place(world.meter, "alice", 4, 60)
    account, _ = world.only
    assert clause in account.must
    assert account.set.get("holds_due") == (NOW_EPOCH + 60 if seen == 61 else None)
    assert world.store.tables["quotas"][ACCOUNT]["holds_due"] == NOW_EPOCH + due
    world.store.calls = 0
    placing.place(world.meter, "alice", 4, 90)
    assert world.store.calls == 1, "what the container remembers is right: holds_due as well"
    assert world.store.tables["quotas"][ACCOUNT]["holds_placed"] == 6


def _closing(row: dict[str, Any], state: str, captured: int, ended: int) -> tuple[Write, Write]:
    place = ("alice", row["item"])
    still_open = (Must("user_id", "exists"), is_("units", row["units"]))
    closed = {
        "state": state,
        "units": row["units"],
        "captured": captured,
        "ttl": ended + 30 * 24 * 3600,
    }
    return (
        Write("quotas", place, delete=True, must=still_open),
        Write("quotas", ("alice", row["item"].replace("hold", "closed")), set=closed, must=NEW),
    )


def _id_of(row: dict[str, Any]) -> str:
    return str(HoldId("alice", row["expires_at"], row["item"][-16:]))


@pytest.mark.parametrize(("state", "captured"), [("captured", 3), ("captured", 5), ("released", 0)])
def test_the_end_of_a_hold_moves_its_row_and_its_units(
    world: World, state: str, captured: int
) -> None:
    world.has(remaining=10, held=5, holds_due=NOW_EPOCH + 60, holds_placed=1)
    row = world.holds(1, 5)
    if state == "captured":
        said = closing.capture(world.meter, _id_of(row), captured)
    else:
        said = closing.release(world.meter, _id_of(row))
    assert said == ClosedHold(_id_of(row), state, captured, 5 - captured)  # type: ignore[arg-type]
    account, *written = world.only
    moved = {"held": -5, "used": captured, "remaining": 5 - captured}
    assert account == _account(moved, NO_DEBT, NO_LOTS)
    assert tuple(written) == _closing(row, state, captured, NOW_EPOCH + 60)
    assert world.store.cleared_up == [False]
    world.store.transactions.clear()
    assert closing.capture(world.meter, _id_of(row), captured) == said if captured else True
    assert world.store.transactions == []


def test_the_end_of_a_hold_for_a_key_gives_its_limit_the_rest_and_counts_what_was_used(
    world: World,
) -> None:
    world.has(remaining=10, held=5, debt=0, keys_changed=1, uR6Cr=2, rR6Cr=5)
    row = world.holds(1, 5, key_id=KEY_ID)
    closing.capture(world.meter, _id_of(row), 3)
    account, *written = world.only
    moved = {"held": -5, "used": 3, "remaining": 2, "rR6Cr": 2, "uR6Cr": 3}
    live = (Must("rR6Cr", "exists"), Must("uR6Cr", "exists"))
    assert account == _account(moved, NO_DEBT, *live, NO_LOTS)
    assert tuple(written) == _closing(row, "captured", 3, NOW_EPOCH + 60)


def test_a_hold_for_a_key_that_is_captured_whole_gives_its_limit_nothing(world: World) -> None:
    world.has(remaining=10, held=5, keys_changed=1, uR6Cr=2, rR6Cr=5)
    row = world.holds(1, 5, key_id=KEY_ID)
    closing.capture(world.meter, _id_of(row), 5)
    account, *_ = world.only
    moved = {"held": -5, "used": 5, "remaining": 0, "uR6Cr": 5}
    assert account == _account(moved, NO_DEBT, Must("uR6Cr", "exists"), NO_LOTS)


def test_a_hold_for_a_key_that_was_put_away_is_counted_in_its_own_row(world: World) -> None:
    world.has(remaining=10, held=5, keys_changed=7)
    row = world.holds(1, 5, key_id=KEY_ID)
    closing.capture(world.meter, _id_of(row), 3)
    account, _, _, uses, kept = world.only
    absent = Must("rR6Cr", "absent")
    assert account == _account(
        {"held": -5, "used": 3, "remaining": 2, "keys_changed": 1},
        NO_DEBT,
        absent,
        is_("keys_changed", 7),
        NO_LOTS,
    )
    assert uses == Write(
        "quotas",
        ("alice", "uses"),
        set={"revoked": {"R6Cr": {"key_id": KEY_ID, "more": 3}}},
        add={"version": 1},
    )
    place = ("user#alice", "name#R6Cr")
    assert kept == Write("keys", place, set={"key_id": KEY_ID}, add={"used": 3})


def test_expired_holds_are_released_in_one_transaction_and_the_next_one_is_due(
    world: World,
) -> None:
    """In the order of their ends; the one that ends a second later stays open."""
    seen = world.has(
        remaining=1, held=14, holds_due=NOW_EPOCH - 1, holds_placed=4, keys_changed=1, rR6Cr=5
    )
    first = world.holds(1, 2, -1, key_id=KEY_ID)
    second = world.holds(2, 3, 0)
    third = world.holds(3, 4, 0, key_id=KEY_ID)
    world.holds(4, 5, 1)
    hold_expiry.give_back_expired(world.books, "alice", seen)
    account, *written = world.only
    assert account == _account(
        {"held": -9, "remaining": 9, "rR6Cr": 6},
        is_("holds_due", NOW_EPOCH - 1),
        is_("holds_placed", 4),
        NO_DEBT,
        Must("rR6Cr", "exists"),
        NO_LOTS,
        holds_due=NOW_EPOCH + 1,
    )
    assert tuple(written) == (
        *_closing(first, "expired", 0, NOW_EPOCH),
        *_closing(second, "expired", 0, NOW_EPOCH),
        *_closing(third, "expired", 0, NOW_EPOCH),
    )


@pytest.mark.parametrize(("number", "parts"), [(46, [46]), (47, [46, 1]), (93, [46, 46, 1])])
def test_forty_six_holds_are_released_at_once(world: World, number: int, parts: list[int]) -> None:
    """With what is beside them, they are within DynamoDB's hundred."""
    seen = world.has(held=number, holds_due=NOW_EPOCH, holds_placed=number)
    for one in range(number):
        world.holds(one, 1, 0)
    batch = ExpiredHolds.read(world.books, "alice", seen)
    assert len(batch.closing) == 2 * parts[0]
    assert batch.before == seen
    assert batch.after.held == number - parts[0]
    assert batch.after.holds_due == (NOW_EPOCH if len(parts) > 1 else 0)
    assert ("holds_due" in batch.account.remove) == (len(parts) == 1)
    hold_expiry.give_back_expired(world.books, "alice", seen)
    assert [(len(writes) - 1) // 2 for writes in world.store.transactions] == parts
    assert world.store.tables["quotas"][ACCOUNT]["remaining"] == number
    assert "holds_due" not in world.store.tables["quotas"][ACCOUNT]


def test_a_debit_after_an_expiry_releases_and_takes_in_one_transaction(world: World) -> None:
    """What it demands of a key's limit is what that has without the units that come back."""
    seen = world.has(
        remaining=1,
        used=8,
        held=5,
        holds_due=NOW_EPOCH,
        holds_placed=1,
        keys_changed=1,
        uR6Cr=2,
        rR6Cr=3,
    )
    row = world.holds(1, 5, 0, key_id=KEY_ID)
    memory.remember("alice", seen)
    said = debits.debit(world.meter, "alice", 4, KEY)
    assert (said.remaining, said.limit_remaining) == (2, 4)
    account, *written = world.only
    assert account == _account(
        {"held": -5, "remaining": 1, "used": 4, "rR6Cr": 1, "uR6Cr": 4},
        is_("holds_due", NOW_EPOCH),
        is_("holds_placed", 1),
        NO_DEBT,
        Must("rR6Cr", "exists"),
        NO_LOTS,
        is_("remaining", 1),
        Must("use_day", ">=", TODAY),
        Must("rR6Cr", ">=", -1),
        remove=("holds_due",),
    )
    assert tuple(written) == _closing(row, "expired", 0, NOW_EPOCH)
    left = world.store.tables["quotas"][ACCOUNT]
    assert (left["remaining"], left["used"], left["held"], left["rR6Cr"]) == (2, 12, 0, 4)


def test_a_hold_after_an_expiry_takes_the_place_of_what_it_releases(world: World) -> None:
    seen = world.has(remaining=1, held=5, holds_due=NOW_EPOCH, holds_placed=1)
    row = world.holds(1, 5, 0)
    memory.remember("alice", seen)
    said = placing.place(world.meter, "alice", 4, 60)
    assert said.remaining == 2
    account, placed, *written = world.only
    assert account == _account(
        {"held": -1, "remaining": 1, "holds_placed": 1},
        is_("holds_due", NOW_EPOCH),
        is_("holds_placed", 1),
        NO_DEBT,
        NO_LOTS,
        is_("remaining", 1),
        Must("use_day", ">=", TODAY),
        NO_LOTS,
        holds_due=NOW_EPOCH + 60,
    )
    assert placed.set["expires_at"] == NOW_EPOCH + 60
    assert tuple(written) == _closing(row, "expired", 0, NOW_EPOCH)
