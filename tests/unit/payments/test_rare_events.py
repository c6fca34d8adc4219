"""Events that lack something, come twice or race: what is written, and what is not."""

from dataclasses import replace
from typing import Any

import pytest
from billing.facts import to_item
from billing.parked import dropping, records
from billing.payments.ownership import why_ignored
from billing.settings import Telling
from billing.settlement import settlement
from billing.storage.writes import Write
from support import builders
from support.builders import books_on, fact
from support.fakes.outbox import Kept
from support.fakes.recording_store import Recorder
from support.transcripts import Story


@pytest.fixture
def story() -> Story:
    """A purchase that is not paid yet."""
    return Story()


def _settle(story: Story, event: Any) -> str:
    story.store.deadline.begin()
    return settlement.apply(story.books, event).status


@pytest.mark.parametrize("charge", [None, ""])
def test_a_refund_without_a_charge_writes_no_row_of_one(story: Story, charge: str | None) -> None:
    story.settle(builders.completed(story.payment))
    refund: Any = fact(builders.refunded(story.payment, 500))
    assert _settle(story, replace(refund, charge=charge)) == "settled"
    rows = [key for key in story.store.tables["payments"] if key[0].startswith("ref#")]
    assert rows == [("ref#pi_1", "reference")]


def test_a_refund_without_an_intent_is_found_by_its_charge(story: Story) -> None:
    """Once an earlier one has led from there; it writes the row no second time."""
    story.settle(builders.completed(story.payment))
    refund: Any = fact(builders.refunded(story.payment, 500))
    assert _settle(story, refund) == "settled"
    second = replace(refund, fact_id="evt_2", payment_intent=None, refunded_minor=999)
    assert _settle(story, second) == "settled"
    keys = [write.key for write in story.store.sent[-1] if write.table == "payments"]
    assert keys == [("user#alice", "pay_1")]


def test_a_free_purchase_has_no_intent_to_lead_from(story: Story) -> None:
    free = builders.completed(
        story.payment, payment_status="no_payment_required", payment_intent=None, amount_total=0
    )
    assert "ref#" not in story.settle(free)
    assert story.store.tables["quotas"]["alice", "quota"]["remaining"] == 100


def test_an_event_that_was_dropped_is_not_kept_again(story: Story) -> None:
    """Neither in the queue nor as a record: an operator has decided."""
    outbox = Kept()
    story.books = replace(story.books, outbox=outbox)
    event = fact(builders.refunded(story.payment, 500))
    assert _settle(story, event) == "parked"
    assert outbox.facts == [event]
    (record,) = records.all_parked(story.books)
    dropping.drop(story.books, record, "a test")
    sent = len(story.store.sent)
    assert _settle(story, event) == "parked"
    assert (len(story.store.sent), outbox.facts) == (sent, [event])


def test_an_event_that_is_parked_twice_is_kept_twice_and_recorded_once(story: Story) -> None:
    """The queue's copy may be the second; the record says when it came first."""
    outbox = Kept()
    story.books = replace(story.books, outbox=outbox)
    event = fact(builders.refunded(story.payment, 500))
    for _ in range(2):
        assert _settle(story, event) == "parked"
    assert outbox.facts == [event, event]
    (record,) = records.all_parked(story.books)
    assert record.parked_at == "2026-01-02T03:04:05.000000Z"


def test_a_decline_whose_account_changed_meanwhile_is_noted_all_the_same(story: Story) -> None:
    """Its event out takes the next number after that of a concurrent one."""

    class Overtaken(Recorder):
        other: Any = None

        def commit(self, *writes: Write) -> None:
            """After the other one's."""
            other, self.other = self.other, None
            if other:
                other()
            super().commit(*writes)

    store = Overtaken()
    store.tables = story.store.tables
    story.books = books_on(store, clock=story.clock, telling=Telling(is_on=True))
    second = builders.pending(story.books, payment_id="pay_2", session_id="cs_2")
    store.other = lambda: settlement.apply(story.books, fact(builders.declined(second)))
    assert _settle(story, fact(builders.declined(story.payment))) == "recorded"
    told = sorted(key[1][:12] for key in store.tables["notices"])
    assert told == ["000000000001", "000000000002"]


def test_a_lost_dispute_of_an_automatic_payment_ends_charges_once(story: Story) -> None:
    """They ended with the dispute: what the customer agreed to since then stays."""
    payment = builders.automatic(story.books)
    story.settle(builders.intent_event(payment))
    story.settle(builders.dispute(payment, "funds_withdrawn", "needs_response", -999))
    row = story.store.tables["quotas"]["alice", "top_up"]
    assert (row["on"], row["paused"], row["version"]) == (False, "disputed", 1)
    row["on"] = True
    lost = story.settle(builders.dispute(payment, "closed", "lost", -999))
    assert "status = 'refunded'" in lost.replace("\n   ", "")
    assert (row["on"], row["version"]) == (True, 1)


def test_a_partly_refunded_automatic_payment_ends_nothing(story: Story) -> None:
    payment = builders.automatic(story.books)
    story.settle(builders.intent_event(payment))
    story.settle(builders.refunded(payment, 998))
    assert ("alice", "top_up") not in story.store.tables["quotas"]


def test_what_is_ignored_says_why_in_a_sentence(story: Story) -> None:
    """As the log has it."""
    decline: Any = fact(builders.declined(story.payment))
    refund: Any = fact(builders.refunded(story.payment, 500))
    assert why_ignored(story.books, decline) == (
        "payment_intent.payment_failed can move no unit, and its payment is not in our records"
    )
    old = replace(refund, needs_record=True, payment_id="pay_9")
    assert why_ignored(story.books, old) == (
        "only our record could show that this charge.refunded is ours, and there is none"
    )
    assert why_ignored(story.books, replace(old, payment_id="pay_1")) == ""
    assert why_ignored(story.books, replace(old, payment_id="pay_1", user_id="bob")) != ""


def test_a_fact_is_stored_with_its_name_first() -> None:
    """And every member, so that it can be read as it was."""
    payment = Story().payment
    item = to_item(fact(builders.completed(payment, "evt_1")))
    assert item == {
        "fact": "session",
        "fact_id": "evt_1",
        "type": "checkout.session.completed",
        "created": item["created"],
        "kind": "paid",
        "session_id": "cs_1",
        "payment_id": "pay_1",
        "user_id": "alice",
        "plan": "starter",
        "quota": 100,
        "amount_subtotal": 999,
        "amount_total": 999,
        "currency": "usd",
        "payment_intent": "pi_1",
        "expires_after_days": 0,
        "needs_record": False,
    }
