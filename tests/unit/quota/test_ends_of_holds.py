"""Holds that end: answers that were lost, races, pages of holds, and what reads show meanwhile."""

from dataclasses import replace

import pytest
from billing.errors import (
    BillingError,
    ConditionFailedError,
    NotDoneError,
    OutcomeUnknownError,
)
from billing.expiry import due_holds, hold_expiry, present
from billing.holds import closing, hold
from support.deadlines import PausedDeadline
from support.fakes.scripted_store import raises
from support.quota_rows import KEY_ID, NOW_EPOCH, TODAY, World, lot


@pytest.mark.parametrize(
    ("error", "found"),
    [(NotDoneError("busy"), NotDoneError), (OutcomeUnknownError("?"), OutcomeUnknownError)],
)
def test_a_hold_whose_end_is_never_answered_is_called_busy_or_unknown(
    world: World, error: Exception, found: type[Exception]
) -> None:
    """Unknown once a single answer was lost."""
    world.has(remaining=2, held=5, holds_due=NOW_EPOCH + 60)
    row = world.holds(1, 5)
    hold_id = str(hold.HoldId("alice", row["expires_at"], row["item"][-16:]))
    world.store.before = [raises(error), *[raises(NotDoneError("busy"))] * 500]
    with pytest.raises(found):
        closing.capture(world.meter, hold_id, 2)
    world.store.before = []
    world.store.deadline.begin()
    assert closing.capture(world.meter, hold_id, 2).released == 3


def test_a_hold_that_lost_a_race_is_looked_at_again(world: World) -> None:
    world.has(remaining=2, held=5, holds_due=NOW_EPOCH + 60)
    row = world.holds(1, 5)
    hold_id = str(hold.HoldId("alice", row["expires_at"], row["item"][-16:]))
    world.store.before = [raises(ConditionFailedError({0: None}))]
    assert closing.release(world.meter, hold_id).released == 5
    with pytest.raises(BillingError, match="hold_closed: this hold was released before, with 0"):
        closing.capture(world.meter, hold_id, 5)


@pytest.mark.parametrize("units", [5, 6])
def test_a_hold_that_is_over_at_this_second_is_given_back_and_not_captured(
    world: World, units: int
) -> None:
    """Whatever is asked of it."""
    world.has(remaining=2, held=5, holds_due=NOW_EPOCH, holds_placed=1)
    row = world.holds(1, 5, 0)
    hold_id = str(hold.HoldId("alice", row["expires_at"], row["item"][-16:]))
    with pytest.raises(BillingError, match="hold_closed: this hold was expired before, with 0"):
        closing.capture(world.meter, hold_id, units)
    assert world.row["remaining"] == 7


def test_a_hold_that_is_over_is_not_captured_where_its_release_lost_a_race(world: World) -> None:
    """It is looked at again, and given back then."""
    world.has(remaining=2, held=5, holds_due=NOW_EPOCH, holds_placed=1)
    row = world.holds(1, 5, 0)
    hold_id = str(hold.HoldId("alice", row["expires_at"], row["item"][-16:]))
    world.store.before = [raises(ConditionFailedError({0: None}))]
    with pytest.raises(BillingError, match="hold_closed: this hold was expired before, with 0"):
        closing.capture(world.meter, hold_id, 5)
    assert (world.row["remaining"], "used" in world.row) == (7, False)


def test_a_capture_begins_its_day_first_and_a_release_or_a_later_capture_does_not(
    world: World,
) -> None:
    figures = {"remaining": 2, "used": 3, "held": 9, "holds_due": NOW_EPOCH + 60}
    world.has(use_day="2026-01-01", **figures)
    ids = []
    for number in range(3):
        row = world.holds(number, 3)
        ids.append(str(hold.HoldId("alice", row["expires_at"], row["item"][-16:])))
    closing.release(world.meter, ids[0])
    assert world.row["use_day"] == "2026-01-01"
    assert world.calls(lambda: closing.capture(world.meter, ids[1], 1)) == 6
    assert world.row["use_day"] == TODAY
    assert world.calls(lambda: closing.capture(world.meter, ids[2], 1)) == 3
    (entry,) = world.store.tables["ledger"].values()
    assert entry["units"] == -3


def test_no_more_holds_are_read_than_one_transaction_releases_and_the_next_one(
    world: World,
) -> None:
    """Nor any lots where no hold is over."""
    seen = world.has(held=1, holds_due=NOW_EPOCH, holds_placed=1, lots_exact=1)
    world.holds(1, 1, 1)
    read = hold_expiry.ExpiredHolds.read
    assert world.calls(lambda: read(world.books, "alice", seen)) == 1
    assert [how["limit"] for how in world.store.queries] == [47]


def test_holds_come_back_without_a_pause_and_without_an_error(world: World) -> None:
    paused: list[float] = []
    world.store.deadline = PausedDeadline(paused.append)
    seen = world.has(held=93, holds_due=NOW_EPOCH, holds_placed=93)
    for number in range(93):
        world.holds(number, 1, 0)
    hold_expiry.give_back_expired(world.books, "alice", replace(seen, holds_placed=92))
    assert world.store.transactions == [], "another hold was placed: the caller reads again"
    hold_expiry.give_back_expired(world.books, "alice", seen)
    assert (len(world.store.transactions), paused) == (3, [])
    assert world.row["remaining"] == 93


@pytest.mark.parametrize(
    ("over", "later", "calls"),
    [(0, 0, 1), (1, 0, 1), (1, 150, 1), (99, 1, 1), (100, 0, 1), (100, 1, 2), (150, 3, 2)],
)
def test_holds_that_are_over_are_read_up_to_the_first_that_is_not(
    world: World, over: int, later: int, calls: int
) -> None:
    for number in range(over):
        world.holds(number, 1, 0)
    for number in range(later):
        world.holds(number, 1, 1)
    before = world.store.calls
    found = due_holds.expired_holds(world.books, "alice", NOW_EPOCH)
    assert (len(found), world.store.calls - before) == (over, calls)


@pytest.mark.parametrize(
    ("over", "later", "calls"), [(1, 0, 1), (1, 98, 1), (1, 150, 2), (99, 0, 1), (150, 3, 2)]
)
def test_a_read_after_an_expiry_finds_holds_and_account_in_few_calls(
    world: World, over: int, later: int, calls: int
) -> None:
    held = over + later
    seen = world.has(remaining=5, held=held, holds_due=NOW_EPOCH, holds_placed=held)
    for number in range(over):
        world.holds(number, 1, 0)
    for number in range(later):
        world.holds(number, 1, 1)
    before = world.store.calls
    found = due_holds.as_if_given_back(world.books, "alice", seen)
    assert (found.remaining, found.held) == (5 + over, later)
    assert world.store.calls - before == calls


def test_a_read_on_which_nothing_is_due_is_no_call(world: World) -> None:
    seen = world.has(remaining=5, held=1, holds_due=NOW_EPOCH + 1)
    assert world.calls(lambda: due_holds.as_if_given_back(world.books, "alice", seen)) == 0


def test_a_read_pays_debt_and_limits_with_what_comes_back(world: World) -> None:
    figures = {"holds_due": NOW_EPOCH, "holds_placed": 2, "keys_changed": 1}
    seen = world.has(held=7, debt=4, uR6Cr=1, rR6Cr=2, **figures)
    world.holds(1, 5, 0, key_id=KEY_ID)
    world.holds(2, 2, 1)
    found = due_holds.as_if_given_back(world.books, "alice", seen)
    assert (found.held, found.remaining, found.debt, found.keys["rR6Cr"]) == (2, 1, 0, 7)


def test_a_read_while_holds_change_is_of_one_moment(world: World) -> None:
    """Another container has released the hold: the balance that is read then has it back."""
    seen = world.has(remaining=5, held=5, holds_due=NOW_EPOCH, holds_placed=1)
    world.row.update(remaining=10, held=0)
    del world.row["holds_due"]
    found = due_holds.as_if_given_back(world.books, "alice", seen)
    assert (found.remaining, found.held) == (10, 0)


def test_lots_that_change_while_they_are_read_are_read_again(world: World) -> None:
    a, b = lot("a", 5), lot("b", 3)
    world.keep(a.key, **a.to_item())
    seen = world.has(total=5, remaining=5, lots_left=5, lots_exact=1, lots_version=1)

    def grant() -> None:
        world.keep(b.key, **b.to_item())
        world.row.update(total=8, remaining=8, lots_left=8, lots_version=2)

    world.store.after_query = grant
    found = present.read_with_lots(world.books, "alice", seen)
    assert found.balance.remaining == 8
    assert [(one.lot_id, one.left) for one in found.lots if one.left] == [("a", 5), ("b", 3)]
