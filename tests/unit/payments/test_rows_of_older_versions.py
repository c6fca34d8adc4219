"""What rows and events of older versions lack, and what is then true of them."""

from dataclasses import replace
from typing import Any

import pytest
from billing.facts import from_item, to_item
from billing.payments.dispute import Dispute
from billing.payments.plan import Plan
from billing.payments.reversals import Reversals
from billing.settings import Telling
from billing.settlement import settlement
from support import builders
from support.builders import books_on, fact
from support.transcripts import Story


def _old_dispute(**members: Any) -> Reversals:
    return Reversals.from_item({"disputes": {"du_1": members}})


def _amount_after(known: Reversals, amount: int, *transactions: int) -> int:
    event: Any = fact(builders.dispute(Story().payment, "updated", "needs_response", *transactions))
    return known.with_fact(replace(event, amount=amount)).disputes["du_1"].amount


def test_a_dispute_of_which_nothing_was_stored_holds_and_lost_nothing() -> None:
    """Also where it is stored as lost."""
    assert _old_dispute() == Reversals(disputes={"du_1": Dispute()})
    assert _old_dispute(closed="lost").returned_minor == 0
    assert Reversals().to_item() == {
        "refunded_high_minor": 0,
        "failed": {},
        "standing": {},
        "disputes": {},
    }


@pytest.mark.parametrize(
    ("amount", "transactions", "becomes"),
    [(600, (), 700), (800, (), 800), (600, (-600,), 600), (800, (-600,), 800)],
)
def test_the_amount_of_a_dispute_from_before_was_told_with_no_transactions(
    amount: int, transactions: tuple[int, ...], becomes: int
) -> None:
    """An event with more of them is newer; with as many, the larger amount counts."""
    assert _amount_after(_old_dispute(amount=700), amount, *transactions) == becomes


def test_a_refund_by_its_id_is_a_fact_without_a_figure() -> None:
    """Whole, as it is stored and sent."""
    item = to_item(fact(builders.refund_created(Story().payment, "re_1", 500)))
    assert item == {
        "fact": "refunds",
        "fact_id": "evt_00000002",
        "type": "refund.created",
        "created": 1767323047,
        "payment_intent": "pi_1",
        "charge": "ch_1",
        "currency": "usd",
        "refunded_minor": 0,
        "failed": {},
        "standing": {"re_1": 500},
        "needs_record": False,
        "payment_id": "",
        "user_id": "",
    }
    first = {
        name: value
        for name, value in item.items()
        if name not in {"refunded_minor", "failed", "needs_record", "payment_id", "user_id"}
    }
    assert to_item(from_item(first)) == item


def test_a_session_from_before_deployments_had_ids_is_ours_by_its_record_alone() -> None:
    """Also where events go out, and the rows are read first."""
    story = Story()
    story.books = books_on(story.store, telling=Telling(is_on=True))
    old = builders.completed(story.payment, metadata=builders.old_metadata(story.payment))
    del story.store.tables["payments"]["user#alice", "pay_1"]
    found = settlement.apply(story.books, fact(old))
    assert (found.status, found.payment) == ("ignored", None)


def test_a_refund_that_takes_no_more_units_changes_no_time_of_the_lots() -> None:
    """All units had expired: what is away stays away since the first clawback."""
    dated = Plan("dated", "Dated", "Units.", 999, "usd", 100, expires_after_days=30)
    story = Story(dated)
    story.settle(builders.completed(story.payment))
    story.clock.advance(days=31)
    story.settle(builders.refunded(story.payment, 500))
    payments = story.store.tables["payments"]
    since = payments["user#alice", "pay_1"]["away_since"]
    story.clock.advance(days=1)
    assert (
        story.settle(builders.refunded(story.payment, 501))
        == """\
payments user#alice / pay_1
  set reversals = {'refunded_high_minor': 501, 'failed': {}, 'standing': {}, 'disputes': {}},
    status = 'partially_refunded'
  add version + 1
  remove failure_code
  must version == 2
payments ref#ch_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
events pay_1 / evt_00000004
  set booked_at = '2026-02-03T03:04:05.000000Z', created = 1767323049, type = 'charge.refunded',
    units = 0
"""
    )
    assert payments["user#alice", "pay_1"]["away_since"] == since == 1770001445
