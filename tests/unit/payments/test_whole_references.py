"""The row that leads from one of Stripe's ids to a payment, in each of its states."""

import pytest
from billing.errors import ConditionFailedError
from billing.parked import dropping, records
from billing.parked.records import Parked
from billing.payments import references
from billing.payments.references import NO_REFERENCE, Reference
from billing.settlement import settlement
from support import builders
from support.builders import fact
from support.transcripts import Story, transcript

ROW = ("ref#pi_1", "reference")


@pytest.fixture
def story() -> Story:
    """Three refunds came before their payment."""
    found = Story()
    for number in range(3):
        found.settle(builders.refund_created(found.payment, f"re_{number}", 100))
    return found


def _parked(story: Story) -> list[Parked]:
    return sorted(records.all_parked(story.books), key=lambda record: record.name)


def _row(story: Story) -> Reference:
    return references.find(story.books, "pi_1")


EVENTS = frozenset({"evt_00000002", "evt_00000003", "evt_00000004"})


def test_events_wait_at_the_row_and_are_settled_with_their_payment(story: Story) -> None:
    """The credit is refused unless those wait that were read; afterwards none does."""
    assert _row(story) == Reference(waiting=EVENTS)
    assert references.find(story.books, "pi_2") == NO_REFERENCE
    assert references.find(story.books, None) == NO_REFERENCE
    outcome = settlement.apply(story.books, fact(builders.completed(story.payment)))
    assert (outcome.status, outcome.units) == ("settled", 100)
    assert _row(story) == Reference("pay_1", "alice")
    assert _parked(story) == []
    told = [transcript(writes) for writes in story.store.sent]
    assert """\
payments ref#pi_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
  remove waiting
  must aside absent, waiting == ['evt_00000002', 'evt_00000003', 'evt_00000004']
""" in next(writes for writes in told if "waiting ==" in writes)


def test_an_event_dropped_with_its_purchase_is_marked_at_the_row(story: Story) -> None:
    """Unless the purchase is credited by then."""
    first, *_ = _parked(story)
    assert dropping.drop_with_purchase(story.books, first, "cs_1", "pi_1")
    assert (
        """\
payments ref#pi_1 / reference
  add aside + ['evt_00000002'], waiting + ['evt_00000002']
  must payment_id absent
"""
        in story.last
    )
    assert "reason = 'cs_1, whose money it gives back, was dropped'" in story.last.replace(
        "\n   ", ""
    )
    assert _row(story) == Reference(waiting=EVENTS, dropped=frozenset({"evt_00000002"}))


def test_dropped_events_are_parked_again_one_by_one(story: Story) -> None:
    """Each on condition of those that are left; the last leaves no mark."""
    for record in _parked(story)[:2]:
        dropping.drop_with_purchase(story.books, record, "cs_1", "pi_1")
    dropped = _row(story).dropped
    dropping.bring_back(story.books, "pi_1", dropped)
    first, second = (transcript(writes) for writes in story.store.sent[-2:])
    assert (
        """\
payments ref#pi_1 / reference
  set aside = ['evt_00000003']
  must aside == ['evt_00000002', 'evt_00000003']
"""
        in first
    )
    assert (
        """\
payments ref#pi_1 / reference
  remove aside
  must aside == ['evt_00000003']
"""
        in second
    )
    assert "events dropped / evt_00000003\n  delete the row\n" in second
    assert _row(story) == Reference(waiting=EVENTS)
    assert [record.name for record in _parked(story)] == sorted(EVENTS)


def test_an_event_that_is_parked_again_is_as_it_was_and_due_in_half_a_minute(
    story: Story,
) -> None:
    before, *_ = _parked(story)
    dropping.drop_with_purchase(story.books, before, "cs_1", "pi_1")
    story.clock.advance(hours=1)
    dropping.bring_back(story.books, "pi_1", _row(story).dropped)
    after, *_ = _parked(story)
    assert after.next_try == before.next_try + 3600
    assert (after.fact, after.kind, after.why) == (before.fact, before.kind, before.why)
    assert (after.parked_at, after.tries) == (before.parked_at, before.tries)


def test_a_stale_view_of_the_dropped_events_brings_none_back(story: Story) -> None:
    """A concurrent request has brought one back: look again."""
    for record in _parked(story):
        dropping.drop_with_purchase(story.books, record, "cs_1", "pi_1")
    dropping.bring_back(story.books, "pi_1", frozenset({"evt_00000002"}))
    assert _parked(story) == []
    assert _row(story).dropped == EVENTS


def test_a_credited_purchase_takes_no_more_waiting_events(story: Story) -> None:
    """Its payment is there: they are settled instead."""
    settlement.apply(story.books, fact(builders.completed(story.payment)))
    for write in (references.waits("pi_1", "evt_9"), references.waits_dropped("pi_1", "evt_9")):
        with pytest.raises(ConditionFailedError):
            story.books.store.commit(write)


def test_a_lost_row_is_written_again_for_its_payment(story: Story) -> None:
    """Recovery settles what waited there."""
    outcome = settlement.apply(story.books, fact(builders.completed(story.payment)))
    assert outcome.payment is not None
    references.write_again(story.books, outcome.payment)
    assert (
        story.last
        == """\
payments ref#pi_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
  remove waiting
"""
    )


def test_a_reversal_leads_from_its_charge_to_the_payment(story: Story) -> None:
    """Where the event names the intent too, which alone shows the payment."""
    settlement.apply(story.books, fact(builders.completed(story.payment)))
    story.settle(builders.refunded(story.payment, 999))
    assert references.find(story.books, "ch_1") == Reference("pay_1", "alice")
    assert story.store.tables["payments"]["ref#ch_1", "reference"] == {
        "owner": "ref#ch_1",
        "id": "reference",
        "payment_id": "pay_1",
        "user_id": "alice",
    }
