import pytest
from billing.errors import OutcomeUnknownError
from billing.payments import parking
from billing.quota.holds import place
from billing.quota.spending import Meter
from repo.declared import functions
from support import builders
from support.builders import pending
from support.fakes.memory_store import MemoryStore
from support.slow import Recovery, kept

BATCH = int(functions()["RecoverFunction"]["Events"]["Queue"]["Properties"]["BatchSize"])


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


@pytest.mark.parametrize("seconds", [0, 1, 6])
def test_a_batch_ends_in_time_and_what_is_left_comes_again(
    recovery: Recovery, seconds: int, caplog: pytest.LogCaptureFixture
) -> None:
    """However slow DynamoDB is: the function is never killed, and after enough deliveries
    everything is settled, once.
    """
    bodies = [kept(builders.completed(pending(recovery.books))) for _ in range(BATCH)]
    recovery.store.seconds = seconds
    while bodies:
        failed = recovery.answer(*bodies)
        assert len(failed) < len(bodies), "nothing was settled"
        bodies = [bodies[int(number)] for number in failed]
    recovery.store.seconds = 0
    assert recovery.units() == 100 * BATCH
    assert ("out of time" in caplog.text) is (seconds == 6)


@pytest.mark.parametrize("nested", ["[" * 100_000, '{"source":' * 100_000])
def test_a_message_nested_too_deeply_comes_back_alone(recovery: Recovery, nested: str) -> None:
    """Those around it are settled."""
    before, after = (kept(builders.completed(pending(recovery.books))) for _ in range(2))
    assert recovery.answer(before, nested, after) == ["1"]
    assert recovery.units() == 200


def test_a_batch_of_lost_causes_ends_in_time(recovery: Recovery) -> None:
    """Each takes all of its time: some are tried, the rest is left, and no process is killed."""
    recovery.store.fault_of = {"pay_": OutcomeUnknownError("injected")}
    recovery.store.seconds = 11
    elsewhere = builders.books_on(MemoryStore())
    assert (
        len(recovery.answer(*(kept(builders.completed(pending(elsewhere))) for _ in range(BATCH))))
        == BATCH
    )


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
    parking.postpone(recovery.books, recovery.parked()[0])
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
    parking.drop(recovery.books, read[0], "refunded by hand")
    monkeypatch.setattr(parking, "all_parked", lambda _books: iter(read))
    assert recovery.run()["settled"] == 0
    assert recovery.units() == 0


def test_failing_events_do_not_stop_the_release_of_holds(
    recovery: Recovery,
) -> None:
    _hold(recovery, "bob")
    recovery.park_refunds(30)
    recovery.stripe.hangs_for = set(_intents(recovery))
    assert recovery.run()["left"] > 0
    assert _held(recovery, "bob") == 0


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


def test_a_failed_sweep_does_not_stop_parked_events(recovery: Recovery) -> None:
    """An internal error: the run fails for all to see, and the facts are settled before it does."""
    _hold(recovery, "bob")
    recovery.park_refunds(1)
    recovery.store.fault_of = {"bob": KeyError("an internal error")}
    with pytest.raises(KeyError):
        recovery.run()
    recovery.store.fault_of = {}
    assert recovery.parked() == []


def test_a_slow_release_of_holds_leaves_time_for_parked_events(recovery: Recovery) -> None:
    """Sixty accounts, and a DynamoDB that takes its time: the next runs sweep on."""
    users = [f"user-{number:02}" for number in range(60)]
    _hold(recovery, *users)
    recovery.park_refunds(1)
    recovery.store.seconds, recovery.store.marked_a_page = 0.3, 100
    done = recovery.run()
    assert done["settled"] == 1
    assert done["swept_holds"] == sum(_held(recovery, user_id) == 0 for user_id in users)
    assert 0 < done["swept_holds"] < 60
    for _ in range(60 // done["swept_holds"]):
        recovery.run()
    assert not any(_held(recovery, user_id) for user_id in users)


def test_the_age_of_parked_events_includes_those_that_wait_for_an_operator(
    recovery: Recovery,
) -> None:
    """No other process will settle them, so the alarm must count them."""
    recovery.settle(builders.completed(pending(recovery.books), currency="eur"))
    recovery.clock.advance(hours=2)
    recovery.run()
    assert recovery.counted == {"parked_age_seconds": [7200]}
