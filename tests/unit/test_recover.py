import pytest
from billing.errors import OutcomeUnknownError
from billing.holds.placing import place
from billing.spending.meter import Meter
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


def test_failing_events_do_not_stop_the_release_of_holds(
    recovery: Recovery,
) -> None:
    _hold(recovery, "bob")
    recovery.park_refunds(30)
    recovery.stripe.hangs_for = set(_intents(recovery))
    assert recovery.run()["left"] > 0
    assert _held(recovery, "bob") == 0


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
