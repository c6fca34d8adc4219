"""What happens when a write is refused, an answer is lost, or something is due: who looks again,
how often, and what is then written.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from billing.errors import (
    BillingError,
    ConditionFailedError,
    NotDoneError,
    OutcomeUnknownError,
)
from billing.expiry import due_holds, hold_expiry, present
from billing.holds import closing, hold, placing
from billing.keys import counting
from billing.quota import daily_usage
from billing.quota.balance import Balance
from billing.quota.key_use import KeyLimitReachedError, KeyNotCountedError, KeyUse
from billing.settings import Telling
from billing.spending import debits, memory
from billing.spending.taking import Taking, taken_from, units_left
from billing.storage.reader import Page
from billing.storage.writes import Must, Write
from support.deadlines import PausedDeadline
from unit.lots.test_holdings import key, lot
from unit.quota.test_whole_transactions import (
    ACCOUNT,
    KEY,
    KEY_ID,
    NOW,
    NOW_EPOCH,
    TODAY,
    Log,
    World,
)


class Store(Log):
    """Something may happen before a transaction, or after a query."""

    def __init__(self) -> None:
        """Nothing does."""
        super().__init__()
        self.before_commit: list[Callable[[], object]] = []
        self.after_query: list[Callable[[], object]] = []
        self.limits: list[int | None] = []

    def commit(self, *writes: Write) -> None:
        """See MemoryStore."""
        if self.before_commit:
            self.before_commit.pop(0)()
        super().commit(*writes)

    def query(self, *place: Any, **how: Any) -> Page:
        """See MemoryStore."""
        self.limits.append(how.get("limit"))
        page = super().query(*place, **how)
        if self.after_query:
            self.after_query.pop(0)()
        return page


class Shop(World):
    """Alice's account as rows, and what happens meanwhile."""

    def __init__(self) -> None:
        """Nothing happens."""
        super().__init__()
        self.store: Store = Store()
        self.books = replace(self.books, store=self.store)  # type: ignore[arg-type]
        self.meter = self.meter._replace(books=self.books)

    def tells(self, low_at: int) -> None:
        """Events go out from now on."""
        self.books = replace(self.books, telling=Telling(is_on=True, low_at=low_at))
        self.meter = self.meter._replace(books=self.books)

    @property
    def row(self) -> dict[str, Any]:
        """Her account's."""
        return self.store.tables["quotas"][ACCOUNT]

    def calls(self, act: Callable[[], object]) -> int:
        """How many calls an act takes."""
        before = self.store.calls
        act()
        return self.store.calls - before

    def events(self) -> list[tuple[int, str]]:
        """What was told, in its order."""
        rows = self.store.tables["notices"].values()
        return sorted((row["sequence"], row["type"]) for row in rows)


@pytest.fixture
def world() -> Shop:
    """A new one."""
    return Shop()


def _fail(error: Exception) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


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


def test_an_answer_may_say_that_nothing_remains(world: Shop) -> None:
    world.has(remaining=9)
    assert placing.place(world.meter, "alice", 4, 60).remaining == 5
    assert placing.place(world.meter, "alice", 5, 60).remaining == 0
    world.row["remaining"] = 4
    assert debits.debit_once(world.meter, "alice", 4, "backend", "k").remaining == 0


def test_what_a_container_saw_last_spares_it_a_read(world: Shop) -> None:
    """After a hold, after an expiry with it, and after what another container has changed."""
    world.has(remaining=20)
    assert world.calls(lambda: placing.place(world.meter, "alice", 4, 60)) == 2
    assert world.calls(lambda: placing.place(world.meter, "alice", 4, 70)) == 1
    world.clock.advance(seconds=61)
    assert world.calls(lambda: placing.place(world.meter, "alice", 4, 60)) == 2
    assert world.calls(lambda: debits.debit_once(world.meter, "alice", 1, "b", "k")) == 1
    world.clock.advance(seconds=61)
    assert world.calls(lambda: debits.debit(world.meter, "alice", 1)) == 2
    assert (world.row["remaining"], world.row["held"], world.row["used"]) == (18, 0, 2)


def test_an_account_is_remembered_after_a_release_that_needed_no_exact_figure(
    world: Shop,
) -> None:
    """Its write demanded all that was seen."""
    seen = world.has(remaining=20, held=5, holds_due=NOW_EPOCH, holds_placed=1)
    world.holds(1, 5, 0)
    memory.remember("alice", seen)
    world.store.before_commit = [_fail(NotDoneError("busy"))]
    assert placing.place(world.meter, "alice", 4, 60).remaining == 21
    assert world.calls(lambda: placing.place(world.meter, "alice", 4, 60)) == 1


def test_a_write_without_an_exact_figure_leaves_nothing_to_remember(world: Shop) -> None:
    world.has(remaining=20)
    world.store.before_commit = [_fail(NotDoneError("busy"))]
    placing.place(world.meter, "alice", 4, 60)
    assert world.calls(lambda: placing.place(world.meter, "alice", 4, 60)) == 2


def test_a_thousand_accounts_are_remembered_and_the_first_is_forgotten() -> None:
    memory._seen.clear()
    for number in range(1001):
        memory.remember(f"user {number}", Balance(total=number))
    assert memory.recall("user 0") is None
    assert memory.recall("user 1") == Balance(total=1)
    assert memory.recall("user 1") is None
    assert memory.recall("user 1000") == Balance(total=1000)


def test_a_keys_limit_is_judged_after_what_comes_back_to_it(world: Shop) -> None:
    """Its own hold is over: the container that has not seen it finds out by a refusal."""
    figures = {"holds_due": NOW_EPOCH, "holds_placed": 1, "keys_changed": 1}
    world.has(remaining=20, held=4, uR6Cr=2, rR6Cr=1, **figures)
    world.holds(1, 4, 0, key_id=KEY_ID)
    said = debits.debit(world.meter, "alice", 3, KEY)
    assert (said.remaining, said.limit_remaining) == (21, 2)


def test_a_limit_that_a_release_does_not_lift_enough_is_reached_and_the_hold_is_back(
    world: Shop,
) -> None:
    figures = {"holds_due": NOW_EPOCH, "holds_placed": 1, "keys_changed": 1}
    seen = world.has(remaining=20, held=4, uR6Cr=2, rR6Cr=-1, **figures)
    world.holds(1, 4, 0, key_id=KEY_ID)
    memory.remember("alice", seen)
    with pytest.raises(KeyLimitReachedError) as reached:
        debits.debit(world.meter, "alice", 4, KEY)
    assert reached.value.units_left == 3
    assert (world.row["remaining"], world.row["held"], world.row["rR6Cr"]) == (24, 0, 3)


@pytest.mark.parametrize(("units", "is_taken"), [(3, True), (4, False)])
def test_a_limit_lets_exactly_its_units_pass(world: Shop, units: int, *, is_taken: bool) -> None:
    world.has(remaining=20, keys_changed=1, uR6Cr=2, rR6Cr=3)
    if is_taken:
        assert debits.debit(world.meter, "alice", units, KEY).limit_remaining == 0
        return
    with pytest.raises(KeyLimitReachedError):
        debits.debit(world.meter, "alice", units, KEY)
    with pytest.raises(KeyNotCountedError):
        debits.debit(world.meter, "alice", units, KeyUse("key_222222222222222222222222"))


def test_a_hold_of_at_least_some_units_is_refused_with_the_least_that_would_do(
    world: Shop,
) -> None:
    world.has(remaining=4)
    with pytest.raises(BillingError) as refused:
        placing.place(world.meter, "alice", 9, 60, at_least=5)
    assert refused.value.code == "quota_exhausted"
    assert refused.value.detail == "5 units were asked for and 4 remain; nothing was taken"
    assert refused.value.members == {"remaining": 4, "top_up_url": "https://shop.example.com"}
    assert placing.place(world.meter, "alice", 9, 60, at_least=4).units == 4


def test_a_day_begins_with_the_first_write_that_it_refuses(world: Shop) -> None:
    """Its keys' limits are those of the new day; what is seen then is right."""
    figures = {"used": 6, "keys_changed": 7, "uR6Cr": 6, "rR6Cr": 0}
    world.has(remaining=20, use_day="2026-01-01", **figures)
    world.keep("uses", version=7, kR6Cr={"key_id": KEY_ID, "per": "day"})
    said = debits.debit(world.meter, "alice", 2, KEY)
    assert (said.remaining, said.limit_remaining) == (18, 4)
    assert world.row["use_day"] == TODAY


def test_a_days_begin_without_keys_takes_three_calls_and_with_them_two_reads_more(
    world: Shop,
) -> None:
    world.has(remaining=20, used=1, use_day="2026-01-01")
    assert world.calls(lambda: debits.debit(world.meter, "alice", 2)) == 3
    figures = {"used": 1, "keys_changed": 7, "uR6Cr": 1, "rR6Cr": 5, "itemised": 1}
    world.has(remaining=20, use_day="2026-01-01", **figures)
    world.keep("uses", version=7, kR6Cr={"key_id": KEY_ID})
    memory._seen.clear()
    assert world.calls(lambda: debits.debit(world.meter, "alice", 2)) == 5


def test_a_day_that_another_container_has_begun_is_left_to_it(world: Shop) -> None:
    stale = world.has(used=5, use_day="2026-01-01")
    world.row["use_day"] = TODAY
    assert world.calls(lambda: daily_usage.itemise(world.books, "alice", stale)) == 1
    assert world.store.tables["ledger"] == {}


def test_a_fault_of_the_store_while_a_day_goes_on_comes_out(world: Shop) -> None:
    balance = world.has(used=5, use_day="2026-01-01")
    place = ("alice", "consumed:2026-01-01")
    world.store.tables["ledger"][place] = {"user_id": "alice", "entry_id": place[1]}
    lost = OutcomeUnknownError("no answer")
    world.store.before_commit = [lambda: None, _fail(lost)]
    with pytest.raises(OutcomeUnknownError):
        daily_usage.itemise(world.books, "alice", balance)


def test_a_refusal_under_an_idempotency_key_that_is_not_its_own_is_looked_at(
    world: Shop,
) -> None:
    """Too few units, and no answer of before: it is a refusal, and no replay."""
    world.has(remaining=2)
    with pytest.raises(BillingError, match="quota_exhausted"):
        debits.debit_once(world.meter, "alice", 3, "backend", "k")
    world.row["remaining"] = 3
    assert debits.debit_once(world.meter, "alice", 3, "backend", "k").remaining == 0
    assert debits.debit_once(world.meter, "alice", 3, "backend", "k").idempotent_replayed


@pytest.mark.parametrize(
    ("error", "found"),
    [(NotDoneError("busy"), NotDoneError), (OutcomeUnknownError("?"), OutcomeUnknownError)],
)
def test_a_hold_whose_end_is_never_answered_is_called_busy_or_unknown(
    world: Shop, error: Exception, found: type[Exception]
) -> None:
    """Unknown once a single answer was lost."""
    world.has(remaining=2, held=5, holds_due=NOW_EPOCH + 60)
    row = world.holds(1, 5)
    hold_id = str(hold.HoldId("alice", row["expires_at"], row["item"][-16:]))
    world.store.before_commit = [_fail(error), *[_fail(NotDoneError("busy"))] * 500]
    with pytest.raises(found):
        closing.capture(world.meter, hold_id, 2)
    world.store.before_commit = []
    world.store.deadline.begin()
    assert closing.capture(world.meter, hold_id, 2).released == 3


def test_a_hold_that_lost_a_race_is_looked_at_again(world: Shop) -> None:
    world.has(remaining=2, held=5, holds_due=NOW_EPOCH + 60)
    row = world.holds(1, 5)
    hold_id = str(hold.HoldId("alice", row["expires_at"], row["item"][-16:]))
    world.store.before_commit = [_fail(ConditionFailedError({0: None}))]
    assert closing.release(world.meter, hold_id).released == 5
    with pytest.raises(BillingError, match="hold_closed: this hold was released before, with 0"):
        closing.capture(world.meter, hold_id, 5)


@pytest.mark.parametrize("units", [5, 6])
def test_a_hold_that_is_over_at_this_second_is_given_back_and_not_captured(
    world: Shop, units: int
) -> None:
    """Whatever is asked of it."""
    world.has(remaining=2, held=5, holds_due=NOW_EPOCH, holds_placed=1)
    row = world.holds(1, 5, 0)
    hold_id = str(hold.HoldId("alice", row["expires_at"], row["item"][-16:]))
    with pytest.raises(BillingError, match="hold_closed: this hold was expired before, with 0"):
        closing.capture(world.meter, hold_id, units)
    assert world.row["remaining"] == 7


def test_a_hold_that_is_over_is_not_captured_where_its_release_lost_a_race(world: Shop) -> None:
    """It is looked at again, and given back then."""
    world.has(remaining=2, held=5, holds_due=NOW_EPOCH, holds_placed=1)
    row = world.holds(1, 5, 0)
    hold_id = str(hold.HoldId("alice", row["expires_at"], row["item"][-16:]))
    world.store.before_commit = [_fail(ConditionFailedError({0: None}))]
    with pytest.raises(BillingError, match="hold_closed: this hold was expired before, with 0"):
        closing.capture(world.meter, hold_id, 5)
    assert (world.row["remaining"], "used" in world.row) == (7, False)


def test_a_capture_begins_its_day_first_and_a_release_or_a_later_capture_does_not(
    world: Shop,
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
    world: Shop,
) -> None:
    """Nor any lots where no hold is over."""
    seen = world.has(held=1, holds_due=NOW_EPOCH, holds_placed=1, lots_exact=1)
    world.holds(1, 1, 1)
    read = hold_expiry.ExpiredHolds.read
    assert world.calls(lambda: read(world.books, "alice", seen)) == 1
    assert world.store.limits == [47]


def test_holds_come_back_without_a_pause_and_without_an_error(world: Shop) -> None:
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
    world: Shop, over: int, later: int, calls: int
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
    world: Shop, over: int, later: int, calls: int
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


def test_a_read_on_which_nothing_is_due_is_no_call(world: Shop) -> None:
    seen = world.has(remaining=5, held=1, holds_due=NOW_EPOCH + 1)
    assert world.calls(lambda: due_holds.as_if_given_back(world.books, "alice", seen)) == 0


def test_a_read_pays_debt_and_limits_with_what_comes_back(world: Shop) -> None:
    figures = {"holds_due": NOW_EPOCH, "holds_placed": 2, "keys_changed": 1}
    seen = world.has(held=7, debt=4, uR6Cr=1, rR6Cr=2, **figures)
    world.holds(1, 5, 0, key_id=KEY_ID)
    world.holds(2, 2, 1)
    found = due_holds.as_if_given_back(world.books, "alice", seen)
    assert (found.held, found.remaining, found.debt, found.keys["rR6Cr"]) == (2, 1, 0, 7)


def test_a_read_while_holds_change_is_of_one_moment(world: Shop) -> None:
    """Another container has released the hold: the balance that is read then has it back."""
    seen = world.has(remaining=5, held=5, holds_due=NOW_EPOCH, holds_placed=1)
    world.row.update(remaining=10, held=0)
    del world.row["holds_due"]
    found = due_holds.as_if_given_back(world.books, "alice", seen)
    assert (found.remaining, found.held) == (10, 0)


def test_lots_that_change_while_they_are_read_are_read_again(world: Shop) -> None:
    a, b = lot("a", 5), lot("b", 3)
    world.keep(a.key, **a.to_item())
    seen = world.has(total=5, remaining=5, lots_left=5, lots_exact=1, lots_version=1)

    def grant() -> None:
        world.keep(b.key, **b.to_item())
        world.row.update(total=8, remaining=8, lots_left=8, lots_version=2)

    world.store.after_query = [grant]
    found = present.read_with_lots(world.books, "alice", seen)
    assert found.balance.remaining == 8
    assert [(one.lot_id, one.left) for one in found.lots if one.left] == [("a", 5), ("b", 3)]


def _seven(world: Shop, held: int = 0, **figures: Any) -> list[str]:
    """Seven lots of three units that expire one after another."""
    lots = [lot(str(one), 3 - held, held, NOW_EPOCH + 90 + one) for one in range(7)]
    for one in lots:
        world.keep(one.key, **one.to_item())
    due = {} if held == 3 else {"lots_due": NOW_EPOCH + 90}
    both = {"lots_left": 21, "lots_held": 7 * held, "lots_exact": 1, **due}
    world.has(total=21, remaining=21 - 7 * held, held=7 * held, **both, **figures)
    return [one.key for one in lots]


def test_a_hold_reaches_as_many_lots_as_it_needs(world: Shop) -> None:
    names = _seven(world)
    placing.place(world.meter, "alice", 20, 60)
    rows = world.store.tables["quotas"]
    (hold,) = [row for _, row in rows.items() if row["item"].startswith("hold#")]
    assert hold["parts"] == {**dict.fromkeys(names[:6], 3), names[6]: 2}
    assert (rows["alice", names[6]]["free"], rows["alice", names[6]]["held"]) == (1, 2)
    assert (world.row["lots_held"], world.row["lots_due"]) == (20, NOW_EPOCH + 96)


def test_a_hold_of_one_of_many_lots_reads_the_first_of_them_alone(world: Shop) -> None:
    names = _seven(world)
    assert world.calls(lambda: placing.place(world.meter, "alice", 3, 60)) == 3
    assert "held" in world.store.tables["quotas"]["alice", names[0]]


@pytest.mark.parametrize("ended", ["captured", "released", "expired"])
def test_what_a_hold_has_of_a_later_lot_comes_back_to_it(world: Shop, ended: str) -> None:
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


def test_holds_with_many_lots_expire_in_parts_and_the_next_one_is_due(world: Shop) -> None:
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


def test_a_hold_that_ends_after_its_lot_tells_and_books_that_it_expired(world: Shop) -> None:
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
    world: Shop,
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


def test_a_debit_that_crosses_demands_the_figures_that_its_event_shows(world: Shop) -> None:
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


def test_the_number_of_the_last_event_is_remembered(world: Shop) -> None:
    """Two crossings one after another are one transaction each."""
    world.tells(low_at=5)
    world.has(total=10, remaining=10)
    placing.place(world.meter, "alice", 1, 60)
    assert world.calls(lambda: debits.debit_once(world.meter, "alice", 5, "b", "k")) == 1
    assert world.calls(lambda: debits.debit_once(world.meter, "alice", 4, "b", "l")) == 1
    assert world.events() == [(1, "quota.low"), (2, "quota.depleted")]


def test_lots_that_are_over_are_told_in_every_part_before_a_debit(world: Shop) -> None:
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


def test_a_key_that_is_named_with_another_form_is_no_key(world: Shop) -> None:
    world.has(remaining=5)
    for name in ("key_00000000000000000000000", "KEY_000000000000000000000000", "key_" + "g" * 24):
        with pytest.raises(BillingError, match="invalid_key"):
            counting.spend_for(world.books, "alice", name, lambda _: None)
    assert counting.spend_for(world.books, "alice", "", lambda key_use: key_use) is None
