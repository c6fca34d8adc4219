"""What parking writes, to the last member and condition, and what operators are shown of it."""

from dataclasses import replace

import pytest
from billing.clock import epoch
from billing.parked import dropping, parking, records, retries
from billing.parked.records import Parked
from billing.payments.decision import Park, ParkKind
from support import builders
from support.builders import START, fact
from support.transcripts import Story, transcript

WHY = "a refund came before the payment it takes back"
REFUND = {
    "fact": "refunds",
    "fact_id": "evt_00000002",
    "type": "charge.refunded",
    "created": 1767323047,
    "payment_intent": "pi_1",
    "charge": "ch_1",
    "currency": "usd",
    "refunded_minor": 500,
    "failed": {},
    "standing": {},
    "needs_record": False,
    "payment_id": "pay_1",
    "user_id": "alice",
}


@pytest.fixture
def story() -> Story:
    """A purchase that is not paid yet."""
    return Story()


def _told(story: Story) -> str:
    """The last transaction, with the refund as REFUND."""
    return transcript(story.store.sent[-1], REFUND=str(REFUND))


def _parked(story: Story) -> Parked:
    (record,) = records.all_parked(story.books)
    return record


def test_a_refund_ahead_of_its_payment_is_a_record_and_waits_at_its_intent(story: Story) -> None:
    """Its first retry is due half a minute later."""
    story.settle(builders.refunded(story.payment, 500))
    assert (
        _told(story)
        == """\
events parked / evt_00000002
  set fact = REFUND, kind = 'ahead', next_try = 1767323075, parked_at =
    '2026-01-02T03:04:05.000000Z', tries = 0, why = 'a refund came before the payment it takes
    back'
  must subject absent
payments ref#pi_1 / reference
  add waiting + ['evt_00000002']
  must payment_id absent
"""
    )


def test_a_parked_event_is_shown_whole(story: Story) -> None:
    """As ``topup parked`` lists it."""
    event = builders.refunded(story.payment, 500)
    story.settle(event)
    record = _parked(story)
    assert record.as_answer() == {
        "fact_id": "evt_00000002",
        "type": "charge.refunded",
        "kind": "ahead",
        "why": WHY,
        "parked_at": "2026-01-02T03:04:05.000000Z",
        "tries": 0,
    }
    assert record == Parked(fact(event), "ahead", WHY, "2026-01-02T03:04:05.000000Z", 0, 1767323075)
    assert (record.name, record.parked_epoch) == ("evt_00000002", 1767323045)
    assert not record.waits_for_operator
    assert records.find(story.books, "evt_00000002") == record
    assert records.find(story.books, "evt_00000003") is None


@pytest.mark.parametrize(
    ("kind", "next_try"),
    [
        ("ahead", 1767323075),
        ("unknown_payment", 1767323075),
        ("other_session", 1767323075),
        ("mismatch", 0),
        ("paid_twice", 0),
    ],
)
def test_what_an_operator_must_decide_is_not_retried(
    story: Story, kind: ParkKind, next_try: int
) -> None:
    """It has no time of a next try."""
    assert parking.park(story.books, fact(builders.completed(story.payment)), Park(kind, "why"))
    record = _parked(story)
    assert (record.next_try, record.waits_for_operator) == (next_try, next_try == 0)
    assert record.name == "cs_1:paid"


# Half a minute, doubled each time, and at most six hours.
PAUSES = [60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 21600, 21600]


def test_each_pause_is_twice_as_long_up_to_six_hours(story: Story) -> None:
    """The pause begins when the try does."""
    story.settle(builders.refunded(story.payment, 500))
    for tries, pause in enumerate(PAUSES):
        record = _parked(story)
        assert record.tries == tries
        begins = epoch(story.clock())
        assert retries.postpone(story.books, record)
        assert _parked(story).next_try == begins + pause
        assert not retries.postpone(story.books, record), "it was taken by the first"
    row = story.store.tables["events"]["parked", "evt_00000002"]
    row["tries"] = 10_000
    assert retries.postpone(story.books, _parked(story))
    assert _parked(story).next_try == epoch(START) + 21600


def test_a_postponed_record_changes_its_tries_and_its_time_alone(story: Story) -> None:
    story.settle(builders.refunded(story.payment, 500))
    retries.postpone(story.books, _parked(story))
    assert (
        story.last
        == """\
events parked / evt_00000002
  set next_try = 1767323105, tries = 1
  must tries == 0
"""
    )


def test_a_record_that_waits_for_an_operator_is_never_due(story: Story) -> None:
    """Also after an operator's own retry."""
    event = fact(builders.completed(story.payment))
    parking.park(story.books, event, Park("mismatch", "amount"))
    retries.postpone(story.books, _parked(story))
    assert (
        story.last
        == """\
events parked / cs_1:paid
  set next_try = 0, tries = 1
  must tries == 0
"""
    )


def test_another_reason_replaces_the_first(story: Story) -> None:
    """On condition that the first still stands; when it was parked does not change."""
    event = fact(builders.completed(story.payment))
    parking.park(story.books, event, Park("other_session", "first"))
    parking.park(story.books, replace(event, fact_id="evt_again"), Park("mismatch", "second"))
    assert (
        story.last
        == """\
events parked / cs_1:paid
  set kind = 'mismatch', next_try = 0, why = 'second'
  must kind == 'other_session'
"""
    )
    sent = len(story.store.sent)
    parking.park(story.books, event, Park("mismatch", "third"))
    assert len(story.store.sent) == sent + 1, "the same reason is not written again"
    assert _parked(story).why == "second"


def test_a_settled_record_is_deleted(story: Story) -> None:
    story.settle(builders.refunded(story.payment, 500))
    retries.resolve(story.books, _parked(story))
    assert story.last == "events parked / evt_00000002\n  delete the row\n"


def test_a_dropped_event_says_why_and_when(story: Story) -> None:
    """It moves from the parked to the dropped ones in one transaction."""
    event = builders.refunded(story.payment, 500)
    story.settle(event)
    dropping.drop(story.books, _parked(story), "a test purchase")
    assert (
        _told(story)
        == f"""\
events parked / evt_00000002
  delete the row
  must kind == 'ahead'
events dropped / evt_00000002
  set dropped_at = '2026-01-02T03:04:05.000000Z', fact = REFUND, kind = 'ahead', parked_at =
    '2026-01-02T03:04:05.000000Z', reason = 'a test purchase', tries = 0, type =
    'charge.refunded', why = '{WHY}'
"""
    )
    (shown,) = records.all_dropped(story.books)
    assert shown == {
        "fact_id": "evt_00000002",
        "type": "charge.refunded",
        "kind": "ahead",
        "why": WHY,
        "parked_at": "2026-01-02T03:04:05.000000Z",
        "dropped_at": "2026-01-02T03:04:05.000000Z",
        "reason": "a test purchase",
        "fact": REFUND,
    }
    assert parking.is_dropped(story.books, fact(event))
