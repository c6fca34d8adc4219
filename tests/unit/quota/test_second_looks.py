"""What happens when a write is refused, an answer is lost, or something is due: who looks again,
how often, and what is then written.
"""

import pytest
from billing.errors import (
    BillingError,
    NotDoneError,
    OutcomeUnknownError,
)
from billing.holds import placing
from billing.keys import counting
from billing.quota import daily_usage
from billing.quota.balance import Balance
from billing.quota.key_use import KeyLimitReachedError, KeyNotCountedError, KeyUse
from billing.spending import debits, memory
from support.fakes.scripted_store import raises
from support.quota_rows import KEY, KEY_ID, NOW_EPOCH, TODAY, World


def test_an_answer_may_say_that_nothing_remains(world: World) -> None:
    world.has(remaining=9)
    assert placing.place(world.meter, "alice", 4, 60).remaining == 5
    assert placing.place(world.meter, "alice", 5, 60).remaining == 0
    world.row["remaining"] = 4
    assert debits.debit_once(world.meter, "alice", 4, "backend", "k").remaining == 0


def test_what_a_container_saw_last_spares_it_a_read(world: World) -> None:
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
    world: World,
) -> None:
    """Its write demanded all that was seen."""
    seen = world.has(remaining=20, held=5, holds_due=NOW_EPOCH, holds_placed=1)
    world.holds(1, 5, 0)
    memory.remember("alice", seen)
    world.store.before = [raises(NotDoneError("busy"))]
    assert placing.place(world.meter, "alice", 4, 60).remaining == 21
    assert world.calls(lambda: placing.place(world.meter, "alice", 4, 60)) == 1


def test_a_write_without_an_exact_figure_leaves_nothing_to_remember(world: World) -> None:
    world.has(remaining=20)
    world.store.before = [raises(NotDoneError("busy"))]
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


def test_a_keys_limit_is_judged_after_what_comes_back_to_it(world: World) -> None:
    """Its own hold is over: the container that has not seen it finds out by a refusal."""
    figures = {"holds_due": NOW_EPOCH, "holds_placed": 1, "keys_changed": 1}
    world.has(remaining=20, held=4, uR6Cr=2, rR6Cr=1, **figures)
    world.holds(1, 4, 0, key_id=KEY_ID)
    said = debits.debit(world.meter, "alice", 3, KEY)
    assert (said.remaining, said.limit_remaining) == (21, 2)


def test_a_limit_that_a_release_does_not_lift_enough_is_reached_and_the_hold_is_back(
    world: World,
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
def test_a_limit_lets_exactly_its_units_pass(world: World, units: int, *, is_taken: bool) -> None:
    world.has(remaining=20, keys_changed=1, uR6Cr=2, rR6Cr=3)
    if is_taken:
        assert debits.debit(world.meter, "alice", units, KEY).limit_remaining == 0
        return
    with pytest.raises(KeyLimitReachedError):
        debits.debit(world.meter, "alice", units, KEY)
    with pytest.raises(KeyNotCountedError):
        debits.debit(world.meter, "alice", units, KeyUse("key_222222222222222222222222"))


def test_a_hold_of_at_least_some_units_is_refused_with_the_least_that_would_do(
    world: World,
) -> None:
    world.has(remaining=4)
    with pytest.raises(BillingError) as refused:
        placing.place(world.meter, "alice", 9, 60, at_least=5)
    assert refused.value.code == "quota_exhausted"
    assert refused.value.detail == "5 units were asked for and 4 remain; nothing was taken"
    assert refused.value.members == {"remaining": 4, "top_up_url": "https://shop.example.com"}
    assert placing.place(world.meter, "alice", 9, 60, at_least=4).units == 4


def test_a_day_begins_with_the_first_write_that_it_refuses(world: World) -> None:
    """Its keys' limits are those of the new day; what is seen then is right."""
    figures = {"used": 6, "keys_changed": 7, "uR6Cr": 6, "rR6Cr": 0}
    world.has(remaining=20, use_day="2026-01-01", **figures)
    world.keep("uses", version=7, kR6Cr={"key_id": KEY_ID, "per": "day"})
    said = debits.debit(world.meter, "alice", 2, KEY)
    assert (said.remaining, said.limit_remaining) == (18, 4)
    assert world.row["use_day"] == TODAY


def test_a_days_begin_without_keys_takes_three_calls_and_with_them_two_reads_more(
    world: World,
) -> None:
    world.has(remaining=20, used=1, use_day="2026-01-01")
    assert world.calls(lambda: debits.debit(world.meter, "alice", 2)) == 3
    figures = {"used": 1, "keys_changed": 7, "uR6Cr": 1, "rR6Cr": 5, "itemised": 1}
    world.has(remaining=20, use_day="2026-01-01", **figures)
    world.keep("uses", version=7, kR6Cr={"key_id": KEY_ID})
    memory._seen.clear()
    assert world.calls(lambda: debits.debit(world.meter, "alice", 2)) == 5


def test_a_day_that_another_container_has_begun_is_left_to_it(world: World) -> None:
    stale = world.has(used=5, use_day="2026-01-01")
    world.row["use_day"] = TODAY
    assert world.calls(lambda: daily_usage.itemise(world.books, "alice", stale)) == 1
    assert world.store.tables["ledger"] == {}


def test_a_fault_of_the_store_while_a_day_goes_on_comes_out(world: World) -> None:
    balance = world.has(used=5, use_day="2026-01-01")
    place = ("alice", "consumed:2026-01-01")
    world.store.tables["ledger"][place] = {"user_id": "alice", "entry_id": place[1]}
    lost = OutcomeUnknownError("no answer")
    world.store.before = [lambda: None, raises(lost)]
    with pytest.raises(OutcomeUnknownError):
        daily_usage.itemise(world.books, "alice", balance)


def test_a_refusal_under_an_idempotency_key_that_is_not_its_own_is_looked_at(
    world: World,
) -> None:
    """Too few units, and no answer of before: it is a refusal, and no replay."""
    world.has(remaining=2)
    with pytest.raises(BillingError, match="quota_exhausted"):
        debits.debit_once(world.meter, "alice", 3, "backend", "k")
    world.row["remaining"] = 3
    assert debits.debit_once(world.meter, "alice", 3, "backend", "k").remaining == 0
    assert debits.debit_once(world.meter, "alice", 3, "backend", "k").idempotent_replayed


def test_a_key_that_is_named_with_another_form_is_no_key(world: World) -> None:
    world.has(remaining=5)
    for name in ("key_00000000000000000000000", "KEY_000000000000000000000000", "key_" + "g" * 24):
        with pytest.raises(BillingError, match="invalid_key"):
            counting.spend_for(world.books, "alice", name, lambda _: None)
    assert counting.spend_for(world.books, "alice", "", lambda key_use: key_use) is None
