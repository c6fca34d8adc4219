"""Two runs of one account, or a run and an event, that meet at the worst moment."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from billing.agreements import rows
from billing.agreements.rows import change
from billing.deadline import Deadline
from billing.errors import ConditionFailedError, OutcomeUnknownError
from billing.holds import placing
from billing.payments.payment import Phase
from billing.payments.plans import catalogue
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from billing.storage.writes import Write
from billing.top_up.opening import opening
from support.fakes.card_twin import LOST_BEFORE
from support.fakes.memory_store import MemoryStore
from support.top_ups import USER, WHEN_BELOW, Story
from support.top_ups import story as begin

START = 1_767_323_045


@pytest.fixture
def story() -> Story:
    """An account that has agreed, with nothing left."""
    return begin(MemoryStore())


class Crowded(MemoryStore):
    """Just before a transaction that ``counts``, a concurrent act, as often as there are acts."""

    def __init__(self) -> None:
        """Alone at first."""
        super().__init__()
        self.acts: list[Callable[[], object]] = []
        self.counts: Callable[[Write], bool] = lambda _: True

    def commit(self, *writes: Write) -> None:
        """Do the act, then commit."""
        if self.acts and any(self.counts(write) for write in writes):
            self.acts.pop(0)()
        super().commit(*writes)


def _after_asking(story: Story, act: Callable[[], object]) -> None:
    """Let something happen between Stripe's answer and its arrival."""
    charge_card = story.stripe.charge_card

    def asked(params: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        story.stripe.charge_card = charge_card  # type: ignore[method-assign]
        try:
            return charge_card(params, key)
        finally:
            act()

    story.stripe.charge_card = asked  # type: ignore[assignment,method-assign]


def _stored(story: Story) -> Any:
    return story.books.store.get("quotas", (USER, "top_up"))


def test_a_success_that_another_run_has_written_already_changes_nothing_more(
    story: Story,
) -> None:
    """It was credited by the event, and closed by the next run."""
    seen = []

    def concurrent() -> None:
        story.deliver()
        story.run_only()
        story.advance(seconds=60)
        story.run_only()
        seen.append(_stored(story))

    _after_asking(story, concurrent)
    done = story.run()
    assert [_stored(story)] == seen
    assert (story.credited, done.charge) == (1, None)


def test_a_decline_that_another_run_has_counted_already_is_counted_once(story: Story) -> None:
    """The next attempt waits for its hour: the answer is not this one's."""
    story.stripe.script = ["insufficient_funds"]
    seen = []

    def concurrent() -> None:
        story.advance(seconds=61)
        story.run_only()
        seen.append(_stored(story))

    _after_asking(story, concurrent)
    done = story.run()
    assert [_stored(story)] == seen
    assert done.charge is not None
    assert (done.charge.attempt, done.charge.state) == (1, "waiting")
    assert len(story.stripe.attempts) == 1


def test_an_old_decline_says_nothing_of_the_attempt_that_has_begun_since(story: Story) -> None:
    """The answer to the first attempt arrives while the second one is under way."""
    story.stripe.script = ["insufficient_funds"]

    def concurrent() -> None:
        story.advance(seconds=61)
        story.run_only()
        story.stripe.faults = [LOST_BEFORE]
        story.advance(hours=1)
        story.run_only()

    _after_asking(story, concurrent)
    done = story.run()
    assert done.charge is not None
    assert (done.charge.attempt, done.charge.state) == (1, "asked")
    assert _stored(story)["charge"]["attempt"] == 1


def test_an_event_that_ends_the_payment_ends_the_charge_at_the_next_run(story: Story) -> None:
    """Stripe canceled the intent: nothing was charged, and the month's count is given back."""
    story.stripe.script = ["processing"]
    story.run()
    (payment,) = story.payments
    story.stripe.end(payment.payment_id, "canceled")
    story.deliver()
    version = story.payments[0].version
    asked = dict(story.stripe.keys)
    done = story.run()
    assert (done.paused, done.used, done.charge, done.due) == ("refused", 0, None, 0)
    assert (story.payments[0].phase, story.payments[0].version) == (Phase.FAILED, version)
    assert story.stripe.keys == asked


def test_a_payment_that_is_credited_by_its_event_ends_the_charge_before_it_is_due(
    story: Story,
) -> None:
    """Stripe is not asked."""
    story.stripe.script = ["processing"]
    story.run()
    story.stripe.end(story.payments[0].payment_id, "succeeded")
    story.deliver()
    story.stripe.is_down = True
    done = story.run()
    assert (done.charge, done.paused, done.used, done.due) == (None, "", 1, START + 60)


def _opened(story: Story) -> None:
    found = opening(story.agreement, catalogue()["starter"], story.books.clock())
    story.books.store.commit(*found.writes)


@pytest.mark.parametrize("phase", [None, Phase.FAILED, Phase.PAID])
def test_no_request_is_sent_for_a_payment_that_went_or_ended_in_that_moment(
    phase: Phase | None,
) -> None:
    """Its row is checked by the write that fixes the attempt."""
    store = Crowded()
    story = begin(store)
    _opened(story)
    payments = store.tables["payments"]
    key = (user_key(USER), story.payments[0].payment_id)

    def concurrent() -> None:
        if phase is None:
            del payments[key]
        else:
            payments[key] |= {"phase": int(phase), "version": 1}

    store.acts, store.counts = [concurrent], lambda write: write.key == key
    story.run_only()
    assert story.stripe.keys == {}
    assert story.agreement.charge is None
    assert story.agreement.paused == ({None: "record_lost", Phase.FAILED: "refused"}.get(phase, ""))


@pytest.mark.parametrize("phase", [Phase.PENDING, Phase.DECLINED, Phase.EXPIRED, Phase.PROCESSING])
def test_a_payment_that_has_not_ended_is_asked_for(phase: Phase) -> None:
    """The last of them is one below the failed one."""
    store = MemoryStore()
    story = begin(store)
    _opened(story)
    key = (user_key(USER), story.payments[0].payment_id)
    store.tables["payments"][key]["phase"] = int(phase)
    story.run_only()
    assert len(story.stripe.keys) == 1


@pytest.mark.parametrize("state", ["asked", "processing"])
def test_a_charge_whose_record_is_lost_is_not_asked_for(story: Story, state: Any) -> None:
    """It is paused, given back to the month, and nothing is written of a payment."""
    _opened(story)
    before = story.agreement
    assert before.charge is not None
    charge = replace(before.charge, state=state, asked_at=START)
    story.books.store.commit(change(before, replace(before, charge=charge)))
    store: Any = story.books.store
    store.tables["payments"].clear()
    done = story.run()
    assert (done.paused, done.charge, done.used, done.due) == ("record_lost", None, 0, 0)
    assert store.tables["payments"] == {}
    assert story.stripe.keys == {}


def test_a_payment_that_changes_while_its_charge_is_closed_is_read_again() -> None:
    """A success that is settled first counts, and the charge is not called off."""
    store = Crowded()
    story = begin(store)
    story.stripe.script = ["processing"]
    story.run_only()
    paid = story.payments[0].payment_id
    story.stripe.end(paid, "lost_card")
    key = (user_key(USER), paid)

    def concurrent() -> None:
        store.tables["payments"][key] |= {"version": 9, "phase": 5, "paid_minor": 999}

    store.acts = [concurrent]
    store.counts = lambda write: write.key == key and write.set.get("phase") == 4
    story.advance(hours=1)
    story.run_only()
    assert store.acts == []
    assert store.tables["payments"][key]["phase"] == 5
    assert (story.agreement.paused, story.agreement.charge) == ("", None)
    assert story.agreement.used == 1


def test_a_payment_that_is_lost_while_its_charge_is_closed_is_not_made_anew() -> None:
    """A row without its price would be none."""
    store = Crowded()
    story = begin(store)
    story.stripe.script = ["processing"]
    story.run_only()
    paid = story.payments[0].payment_id
    story.stripe.end(paid, "lost_card")
    key = (user_key(USER), paid)
    store.acts = [store.tables["payments"].clear]
    store.counts = lambda write: write.key == key and write.set.get("phase") == 4
    story.advance(hours=1)
    story.run_only()
    assert key not in store.tables["payments"]
    story.advance(hours=1)
    story.run_only()
    assert story.agreement.paused == "record_lost"


def test_a_run_decides_again_as_often_as_the_agreement_changes() -> None:
    """Three times in a row, and then it is charged on the last terms."""
    store = Crowded()
    story = begin(store)
    store.counts = lambda write: write.key[1] == "top_up" and "charge" in write.set
    store.acts = [partial(_raise_limit, store, most) for most in (4, 5, 6)]
    story.run_only()
    assert store.acts == []
    assert (story.credited, story.agreement.max_per_month) == (1, 6)


def _raise_limit(store: MemoryStore, most: int) -> None:
    row = store.tables["quotas"][USER, "top_up"]
    row |= {"max_per_month": most, "version": row["version"] + 1}


def test_a_run_that_never_comes_through_leaves_the_outcome_unknown(story: Story) -> None:
    """It ends with its deadline, and has charged nothing."""

    def refuse(*_: Write) -> None:
        raise ConditionFailedError({0: None})

    story.books.store.commit = refuse  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknownError):
        story.run_only()
    assert story.stripe.keys == {}


def test_what_stripe_said_is_written_down_however_long_it_took(story: Story) -> None:
    """The time at Stripe is not the time at the books."""
    now = [0.0]
    story.books.store.deadline = Deadline(clock=lambda: now[0], sleep=lambda _: None)
    _after_asking(story, lambda: now.__setitem__(0, 100.0))
    story.run()
    assert (story.credited, story.agreement.charge) == (1, None)


def test_a_minute_before_it_is_due_nothing_is_done(story: Story) -> None:
    """Nor a second before; and then at once."""
    story.agree(due=START + 60)
    row = _stored(story)
    for seconds in (0, 59):
        story.advance(seconds=seconds)
        assert story.run().due == START + 60
    assert _stored(story) == row
    story.advance(seconds=1)
    story.run()
    assert story.credited == 1


@pytest.mark.parametrize(("units", "charged"), [(WHEN_BELOW - 1, 1), (WHEN_BELOW, 0)])
def test_an_account_is_charged_below_its_threshold_and_not_at_it(
    story: Story, units: int, charged: int
) -> None:
    story.units(units)
    story.run()
    assert story.credited == charged


@pytest.mark.parametrize(("units", "tries"), [(WHEN_BELOW - 1, 2), (WHEN_BELOW, 1)])
def test_a_second_try_is_made_below_the_threshold_and_not_at_it(
    story: Story, units: int, tries: int
) -> None:
    """What came in meanwhile counts."""
    story.stripe.script = ["insufficient_funds"]
    story.run()
    story.units(units)
    story.advance(hours=1)
    story.run()
    assert len(story.stripe.attempts) == tries


def test_an_account_that_expired_holds_alone_keep_above_is_looked_at_a_minute_later(
    story: Story,
) -> None:
    """Nothing was written when they expired, so no write can cross the threshold."""
    story.units(WHEN_BELOW)
    placing.place(Meter(story.books, ""), USER, WHEN_BELOW, 60)
    before = story.agreement
    story.books.store.commit(change(before, replace(before, due=START + 61)))
    story.advance(seconds=61)
    done = story.run()
    assert (done.due, done.charge, story.stripe.keys) == (START + 121, None, {})
    assert rows.read(story.books, USER).due == START + 121
