"""What has expired goes with the debit that needs it, in as few transactions as there can be."""

import pytest
from billing.spending import debits, memory
from billing.storage.writes import Must
from support.deadlines import PausedDeadline
from support.quota_rows import KEY_ID, NOW_EPOCH, World


def _expired(world: World, number: int, units: int = 1, key_id: str = "", **figures: int) -> None:
    """So many holds are over, and this container has seen them."""
    held = number * units
    due = {"held": held, "holds_due": NOW_EPOCH, "holds_placed": number}
    seen = world.has(**{"remaining": 0, **due, **figures})
    for one in range(number):
        named = {"key_id": key_id} if key_id else {}
        world.holds(one, units, 0, **named)
    memory.remember("alice", seen)


def test_what_comes_back_to_another_key_and_to_debt_is_in_the_debits_write(world: World) -> None:
    _expired(world, 1, 9, KEY_ID, debt=4, keys_changed=1, uR6Cr=1, rR6Cr=2)
    assert debits.debit(world.meter, "alice", 5).remaining == 0
    account, *_ = world.only
    assert account.add == {"held": -9, "remaining": 0, "debt": -4, "used": 5, "rR6Cr": 9}
    assert Must("debt", "==", 4) in account.must
    assert (world.row["rR6Cr"], world.row["debt"], world.row["used"]) == (11, 0, 5)


@pytest.mark.parametrize(
    ("number", "units", "sizes"),
    [(1, 3, [3]), (46, 46, [93]), (47, 3, [93, 3]), (47, 47, [93, 3])],
)
def test_the_last_part_of_a_release_is_in_the_debits_transaction(
    world: World, number: int, units: int, sizes: list[int]
) -> None:
    """However much of what comes back it takes. No part waits for another."""
    paused: list[float] = []
    world.store.deadline = PausedDeadline(paused.append)
    _expired(world, number, 3 if number == 1 else 1)
    debits.debit(world.meter, "alice", units)
    assert [len(writes) for writes in world.store.transactions] == sizes
    assert (world.row["held"], world.row["used"], paused) == (0, units, [])
    assert "holds_due" not in world.row


def test_a_look_at_a_due_hold_begins_no_day_that_has_begun(world: World) -> None:
    """The use of today is booked tomorrow."""
    _expired(world, 1, used=5, remaining=1)
    memory._seen.clear()
    assert debits.debit(world.meter, "alice", 2).remaining == 0
    assert world.store.tables["ledger"] == {}
    assert "itemised" not in world.row


def test_a_debit_that_no_release_makes_possible_leaves_all_released(world: World) -> None:
    _expired(world, 2, remaining=1)
    with pytest.raises(Exception, match="quota_exhausted: 4 units were asked for and 3 remain"):
        debits.debit(world.meter, "alice", 4)
    assert (world.row["held"], world.row["remaining"]) == (0, 3)
