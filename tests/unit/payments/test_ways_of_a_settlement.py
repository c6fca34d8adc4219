"""How a settlement goes on when DynamoDB refuses it, and what each way costs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from billing.errors import ConditionFailedError, NotDoneError, OutcomeUnknownError
from billing.parked import records
from billing.payments.payment import Payment
from billing.settlement import settlement
from billing.settlement.settlement import Outcome
from billing.storage.writes import Write
from support import builders
from support.builders import books_on, fact
from support.fakes.recording_store import Recorder
from support.transcripts import Story

PAYMENT_ROW = ("user#alice", "pay_1")


@pytest.fixture
def story() -> Story:
    """A purchase."""
    return Story()


def _apply(story: Story, event: dict[str, Any]) -> Outcome:
    story.store.deadline.begin()
    return settlement.apply(story.books, fact(event))


def _stored(story: Story) -> Payment:
    return Payment.from_item(story.store.tables["payments"][PAYMENT_ROW])


def _before(story: Story, *acts: Callable[[], object]) -> None:
    story.store.before = [*acts]


def test_each_outcome_has_the_payment_as_it_is_now(story: Story) -> None:
    """And the units that moved, and why it is kept."""
    payment = story.payment
    story.store.tables["payments"][PAYMENT_ROW]["created_at"] = ""  # no event claims it
    twice = builders.completed(replace(payment, session_id="cs_2"))
    why = "cs_2 was paid for payment pay_1, which is cs_1's"
    for event, status, units, reason in (
        (builders.completed(payment), "settled", 100, ""),
        (builders.completed(payment), "duplicate", 0, ""),
        (builders.expired(payment), "recorded", 0, ""),
        (builders.refunded(payment, 999), "settled", -100, ""),
        (builders.dispute(payment, "created", "needs_response"), "recorded", 0, ""),
        (twice, "parked", 0, why),
    ):
        found = _apply(story, event)
        assert (found.status, found.units, found.why) == (status, units, reason)
        assert found.payment is not None
        assert found.payment.as_answer() == _stored(story).as_answer()


def test_an_event_of_a_lost_payment_is_parked_or_ignored_without_one(story: Story) -> None:
    story.store.tables["payments"].clear()
    why = "payment pay_1 of cs_1 is not in our records"
    assert _apply(story, builders.completed(story.payment)) == Outcome("parked", why=why)
    nothing = "checkout.session.expired can move no unit, and its payment is not in our records"
    assert _apply(story, builders.expired(story.payment)) == Outcome("ignored", why=nothing)
    old = builders.completed(story.payment, metadata=builders.old_metadata(story.payment))
    unknown = (
        "only our record could show that this checkout.session.completed is ours, and there is none"
    )
    assert _apply(story, old) == Outcome("ignored", why=unknown)


def test_a_refund_of_a_payment_that_a_restore_lost_says_so(story: Story) -> None:
    """Its intent still leads to it: it is ours, and its payment may be rebuilt."""
    _apply(story, builders.completed(story.payment))
    del story.store.tables["payments"][PAYMENT_ROW]
    why = "charge.refunded refers to a payment of ours that is not in our records"
    assert _apply(story, builders.refunded(story.payment, 999)) == Outcome("parked", why=why)
    (record,) = records.all_parked(story.books)
    assert (record.kind, record.why) == ("unknown_payment", why)


def test_a_dispute_ahead_of_its_payment_waits_as_such(story: Story) -> None:
    event = builders.dispute(story.payment, "created", "needs_response")
    _apply(story, event)
    (record,) = records.all_parked(story.books)
    assert (record.kind, record.name) == ("ahead", event["id"])


def test_an_event_that_meets_another_decides_again(story: Story) -> None:
    """The decline was noted in the moment before: the purchase is settled all the same."""
    decline = builders.declined(story.payment)
    _before(story, lambda: _apply(story, decline))
    assert _apply(story, builders.completed(story.payment)).status == "settled"
    assert _stored(story).failure_code == ""
    _before(story, lambda: _apply(story, builders.refunded(story.payment, 300)))
    assert _apply(story, builders.refunded(story.payment, 500)).units == -20
    assert _stored(story).units_clawed_back == 50


def test_a_refund_whose_payment_is_credited_while_it_is_parked_is_settled(story: Story) -> None:
    """It would wait where no code looks any more."""
    sold = builders.completed(story.payment)
    _before(story, lambda: _apply(story, sold))
    assert _apply(story, builders.refunded(story.payment, 500)).units == -50
    assert list(records.all_parked(story.books)) == []


def test_an_event_that_always_meets_others_is_an_unknown_outcome(story: Story) -> None:
    """At the deadline: Stripe sends it again."""

    class Refusing(Recorder):
        def commit(self, *writes: Write) -> None:
            """See the store."""
            del writes
            raise ConditionFailedError({1: None})

    refusing = Refusing()
    refusing.tables = story.store.tables
    books = books_on(refusing, clock=story.clock)
    event = fact(builders.completed(story.payment, "evt_1"))
    with pytest.raises(OutcomeUnknownError, match=r"^evt_1 met other changes until the deadline$"):
        settlement.apply(books, event)


def test_a_payment_that_vanishes_between_two_looks_is_parked(story: Story) -> None:
    """Its balance refused, and then the record was lost by a restore."""

    def vanish() -> None:
        story.store.tables["payments"].clear()
        raise ConditionFailedError({1: None})

    _before(story, vanish)
    assert _apply(story, builders.completed(story.payment)).status == "parked"


def test_a_refund_whose_payment_vanishes_as_it_is_written_is_kept(story: Story) -> None:
    """Its intent still leads to a payment of ours, which alone shows that it is ours."""
    _apply(story, builders.completed(story.payment))
    refund: Any = fact(builders.refunded(story.payment, 999))
    _before(story, lambda: story.store.tables["payments"].pop(PAYMENT_ROW))
    nameless = replace(refund, needs_record=True, payment_id="", user_id="")
    found = settlement.apply(story.books, nameless)
    assert (found.status, found.payment) == ("parked", None)


def test_a_purchase_that_the_ledger_has_already_is_only_noted(story: Story) -> None:
    """A restore put its payment back to unpaid: no units move a second time."""
    before = dict(story.store.tables["payments"][PAYMENT_ROW])
    event = builders.completed(story.payment, "evt_1")
    _apply(story, event)
    story.store.tables["payments"][PAYMENT_ROW] = before
    again = _apply(story, event)
    assert (again.status, again.units) == ("recorded", 0)
    assert _stored(story).status == "completed"
    assert [write.table for write in story.store.sent[-1]] == ["payments", "payments", "events"]
    assert story.store.tables["quotas"]["alice", "quota"]["remaining"] == 100


def _ahead(story: Story, count: int) -> list[str]:
    events = [builders.refund_created(story.payment, f"re_{n:02}", 20) for n in range(count)]
    for event in events:
        _apply(story, event)
    return sorted(event["id"] for event in events)


def test_the_first_twenty_waiting_events_are_settled_with_their_purchase(story: Story) -> None:
    """Recovery settles the others."""
    names = _ahead(story, 22)
    del story.store.tables["events"]["parked", names[1]]
    _apply(story, builders.completed(story.payment))
    assert [record.name for record in records.all_parked(story.books)] == names[20:]
    assert len(_stored(story).reversals.standing) == 19


def test_trouble_with_a_waiting_event_does_not_unsettle_the_purchase(story: Story) -> None:
    """It stays parked; what is no trouble of DynamoDB's comes out."""
    _ahead(story, 1)

    def fail_with(error: Exception) -> Callable[[], object]:
        def fail() -> None:
            raise error

        return fail

    quiet: Callable[[], object] = lambda: None  # noqa: E731 - an act that does nothing
    _before(story, quiet, quiet, fail_with(NotDoneError("injected")))
    assert _apply(story, builders.completed(story.payment)).status == "settled"
    assert len(list(records.all_parked(story.books))) == 1
    (record,) = records.all_parked(story.books)
    _before(story, fail_with(KeyError("ours")))
    with pytest.raises(KeyError):
        settlement.retry(story.books, record)
    assert settlement.retry(story.books, record).status == "settled"
    assert list(records.all_parked(story.books)) == []


def test_a_retry_that_changes_nothing_keeps_its_record(story: Story) -> None:
    _ahead(story, 1)
    (record,) = records.all_parked(story.books)
    assert settlement.retry(story.books, record).status == "parked"
    assert list(records.all_parked(story.books)) == [record]
