"""Recovery: parked events are retried, and expired holds are released."""

from typing import Any

import pytest
from billing.books import Books
from billing.buying import queries
from billing.clock import epoch
from billing.errors import AwsRefusedError, OutcomeUnknownError
from billing.holds.placing import place
from billing.parked import dropping, records, retries
from billing.reconciliation import retry_parked
from billing.settlement import settlement
from billing.spending.meter import Meter
from support import builders, laws
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe
from support.slow import Recovery


@pytest.fixture
def recovery(monkeypatch: pytest.MonkeyPatch) -> Recovery:
    """Nothing is slow at first."""
    return Recovery(monkeypatch)


def _intents(recovery: Recovery) -> list[str]:
    """Of the parked events, those due for longest first."""
    return [record.fact.payment_intent or "" for record in recovery.parked()]  # type: ignore[union-attr]


def _hold(recovery: Recovery, *users: str) -> None:
    """Forty units for a minute."""
    for user_id in users:
        recovery.settle(builders.completed(pending(recovery.books, user_id)))
        place(Meter(recovery.books, ""), user_id, 40, 60)


def _held(recovery: Recovery, user_id: str) -> int:
    item = recovery.store.tables["quotas"][user_id, "quota"]
    held: int = item["held"]
    return held


@pytest.mark.parametrize("slow", ["Stripe", "DynamoDB"])
def test_a_run_ends_before_its_deadline_and_says_how_many_events_are_left(
    recovery: Recovery, slow: str
) -> None:
    """What is left is tried by the next runs, and in the end all is settled."""
    recovery.park_refunds(30)
    recovery.stripe.hangs_for = set(_intents(recovery)) if slow == "Stripe" else set()
    recovery.store.seconds = 0 if slow == "Stripe" else 1
    done = recovery.run()
    assert 0 < done["left"] < 30
    assert done["waiting"] + done["settled"] == 30
    recovery.store.seconds = 0
    recovery.stripe.hangs_for = set()
    recovery.clock.advance(hours=7)
    assert recovery.run()["left"] == 0
    assert recovery.units() == 30 * 50
    assert recovery.parked() == []


def test_an_event_that_times_out_does_not_end_the_run(recovery: Recovery) -> None:
    """Stripe hangs for the first: it is put off, and the second is settled in the same run."""
    recovery.park_refunds(2)
    first, _ = recovery.parked()
    recovery.stripe.hangs_for = {_intents(recovery)[0]}
    assert recovery.run() == {"settled": 1, "waiting": 1, "left": 0, "swept_holds": 0}
    (left,) = recovery.parked()
    assert (left.fact, left.tries) == (first.fact, 1)
    assert left.next_try > first.next_try


def test_those_due_for_longest_are_tried_first(recovery: Recovery) -> None:
    """What was tried in vain goes behind all that were due before it is due again."""
    recovery.park_refunds(3)
    first, second, third = _intents(recovery)
    retries.postpone(recovery.books, recovery.parked()[0])
    recovery.clock.advance(minutes=10)
    assert recovery.run()["settled"] == 3
    assert recovery.stripe.asked == [second, third, first]


def test_failing_events_at_the_front_starve_no_others(recovery: Recovery) -> None:
    """They come first in every order, and each takes the whole deadline of its try: the others have
    their turn all the same.
    """
    recovery.park_refunds(20)
    poison = _intents(recovery)[:10]
    recovery.stripe.hangs_for = set(poison)
    for _ in range(20):
        recovery.run()
        recovery.clock.advance(minutes=1)
    assert sorted(_intents(recovery)) == sorted(poison)
    assert recovery.units() == 10 * 50


def test_an_event_that_kills_the_function_is_retried_after_the_others(
    recovery: Recovery,
) -> None:
    """Out of memory, say: nothing that should come after it is ever carried out."""
    recovery.park_refunds(3)
    (deadly, *_) = recovery.parked()
    recovery.stripe.kills_for = _intents(recovery)[0]
    with pytest.raises(SystemExit):
        recovery.run()
    assert recovery.run()["settled"] == 2
    assert [record.fact for record in recovery.parked()] == [deadly.fact]


def test_an_event_that_an_operator_has_just_dropped_is_not_retried(
    recovery: Recovery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run had read it a moment before: the operator's decision counts."""
    recovery.park_refunds(1)
    read = recovery.parked()
    dropping.drop(recovery.books, read[0], "refunded by hand")
    monkeypatch.setattr(records, "all_parked", lambda _books: iter(read))
    assert recovery.run()["settled"] == 0
    assert recovery.units() == 0


def test_an_account_that_gives_no_answer_keeps_no_other_from_being_swept(
    recovery: Recovery,
) -> None:
    """It has its turn next minute."""
    _hold(recovery, "bob", "carol")
    recovery.clock.advance(seconds=61)
    recovery.store.fault_of = {"bob": OutcomeUnknownError("injected")}
    recovery.run()
    assert (_held(recovery, "bob"), _held(recovery, "carol")) == (40, 0)
    recovery.store.fault_of = {}
    recovery.run()
    assert _held(recovery, "bob") == 0


def test_a_sweep_comes_to_all_accounts_page_after_page(recovery: Recovery) -> None:
    """More of them than the index shows at once."""
    users = ["bob", "carol", "dave", "erin", "frank"]
    _hold(recovery, *users)
    recovery.clock.advance(seconds=61)
    assert recovery.run()["swept_holds"] == 5
    assert [_held(recovery, user_id) for user_id in users] == [0] * 5


def test_the_age_of_parked_events_includes_those_that_wait_for_an_operator(
    recovery: Recovery,
) -> None:
    """No other process will settle them, so the alarm must count them."""
    recovery.settle(builders.completed(pending(recovery.books), currency="eur"))
    recovery.clock.advance(hours=2)
    recovery.run()
    assert recovery.counted == {"parked_age_seconds": [7200]}


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold."""
    return builders.books_on(MemoryStore(), clock=clock)


def _settle(books: Books, *events: dict[str, Any]) -> None:
    for event in events:
        settlement.apply(books, fact(event))


def _status(books: Books, payment_id: str) -> str:
    return queries.find(books, "alice", payment_id).status


def test_a_refund_of_a_purchase_whose_session_was_never_noted_ends_no_recovery(
    books: Books, clock: Clock
) -> None:
    """Its checkout's answer was lost: Stripe's list has the session."""
    stripe, payment = Stripe(), pending(books)
    stripe.sell(payment, epoch(books.clock()))
    _settle(books, builders.refunded(payment, 999))
    row = books.store.tables["payments"]["user#alice", payment.payment_id]  # type: ignore[attr-defined]
    del row["session_id"]
    clock.advance(seconds=61)
    done = retry_parked.run(books, stripe)  # type: ignore[arg-type]
    assert (done.settled, done.waiting) == (1, 0)
    assert _status(books, payment.payment_id) == "refunded"
    laws.check(books.store)


def test_one_fault_of_the_store_does_not_end_a_recovery_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the first fact alone: the second has its turn."""
    at_work = Recovery(monkeypatch)
    at_work.park_refunds(2)
    first, _ = at_work.parked()
    at_work.store.fault_of = {
        str(getattr(first.fact, "payment_intent", "")): AwsRefusedError("injected")
    }
    assert (at_work.run()["settled"], at_work.run()["settled"]) == (1, 0)
    at_work.store.fault_of = {}
    assert [record.name for record in at_work.parked()] == [first.name]
