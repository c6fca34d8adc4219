"""What money writes that goes back after units were used, to the last member and condition."""

from billing.spending import debits
from billing.spending.meter import Meter
from support import builders
from support.transcripts import Story


def test_a_dispute_of_used_units_writes_them_off_and_its_end_restores_them() -> None:
    """60 of 100 were used: they come back as nothing, the other 40 as units."""
    story = Story(policy="write_off")
    story.settle(builders.completed(story.payment))
    debits.debit(Meter(story.books, ""), "alice", 60)
    out = builders.dispute(story.payment, "funds_withdrawn", "needs_response", -999)
    assert (
        story.settle(out)
        == """\
payments user#alice / pay_1
  set away_since = 1767323045, movements = 1, reversals = {'refunded_high_minor': 0, 'failed':
    {}, 'standing': {}, 'disputes': {'du_1': {'amount': 999, 'opened': False, 'closed': '',
    'transactions': {'txn_du_1_0': -999}, 'converted': False, 'told_with': 1}}}, status =
    'disputed', units_clawed_back = 100, units_written_off = 60
  add version + 1
  remove failure_code
  must version == 1
quotas alice / quota
  set booked_at = '2026-01-02T03:04:05.000000Z', updated_at = '2026-01-02T03:04:05.000000Z'
  add lots_left + -100, lots_used + 60, lots_version + 1, remaining + -40, total + -40
  remove lots_due
  must debt == 0 or absent, held == 0 or absent, lots_version == 1, remaining == 40
quotas alice / lot#999999999999#1#1767323045000000#purchase:pay_1:0000
  delete the row
  must free == 100, held == 0
ledger alice / reversal:pay_1:1
  set booked_at = '2026-01-02T03:04:05.000000Z', reference_id = 'cs_1', reference_type =
    'payment', type = 'clawed_back', units = -100
  must user_id absent
ledger alice / adjusted:pay_1:1
  set booked_at = '2026-01-02T03:04:05.000000Z', reference_id = 'cs_1', reference_type =
    'payment', type = 'adjusted', units = 60
  must user_id absent
payments ref#ch_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
events pay_1 / evt_00000003
  set booked_at = '2026-01-02T03:04:05.000000Z', created = 1767323048, type =
    'charge.dispute.funds_withdrawn', units = -100
"""
    )
    back = builders.dispute(story.payment, "closed", "won", -999, 999)
    assert (
        story.settle(back)
        == """\
payments user#alice / pay_1
  set away_since = 0, movements = 2, reversals = {'refunded_high_minor': 0, 'failed': {},
    'standing': {}, 'disputes': {'du_1': {'amount': 999, 'opened': False, 'closed': 'won',
    'transactions': {'txn_du_1_0': -999, 'txn_du_1_1': 999}, 'converted': False, 'told_with':
    2}}}, status = 'completed', units_clawed_back = 0, units_written_off = 0
  add version + 1
  remove failure_code
  must version == 2
quotas alice / quota
  set booked_at = '2026-01-02T03:04:05.000000Z', updated_at = '2026-01-02T03:04:05.000000Z'
  add lots_left + 40, lots_version + 1, remaining + 40, total + 40
  remove lots_due
  must debt == 0 or absent, lots_version == 2
quotas alice / lot#999999999999#1#1767323045000000#purchase:pay_1:0002
  set created_us = 1767323045000000, expires_at = 0, free = 40, held = 0, lot_id =
    'purchase:pay_1:0002', reference_id = 'cs_1', source = 'purchase', units = 40
  must user_id absent
ledger alice / reversal:pay_1:2
  set booked_at = '2026-01-02T03:04:05.000000Z', reference_id = 'cs_1', reference_type =
    'payment', type = 'reinstated', units = 100
  must user_id absent
ledger alice / adjusted:pay_1:2
  set booked_at = '2026-01-02T03:04:05.000000Z', reference_id = 'cs_1', reference_type =
    'payment', type = 'adjusted', units = -60
  must user_id absent
payments ref#ch_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
events pay_1 / evt_00000004
  set booked_at = '2026-01-02T03:04:05.000000Z', created = 1767323049, type =
    'charge.dispute.closed', units = 100
"""
    )


def test_a_refund_of_used_units_makes_debt() -> None:
    """60 of 100 were used: the account owes them."""
    story = Story()
    story.settle(builders.completed(story.payment))
    debits.debit(Meter(story.books, ""), "alice", 60)
    assert (
        story.settle(builders.refunded(story.payment, 999))
        == """\
payments user#alice / pay_1
  set away_since = 1767323045, movements = 1, reversals = {'refunded_high_minor': 999, 'failed':
    {}, 'standing': {}, 'disputes': {}}, status = 'refunded', units_clawed_back = 100
  add version + 1
  remove failure_code
  must version == 1
quotas alice / quota
  set booked_at = '2026-01-02T03:04:05.000000Z', updated_at = '2026-01-02T03:04:05.000000Z'
  add debt + 60, lots_left + -100, lots_used + 60, lots_version + 1, remaining + -40, total +
    -100
  remove lots_due
  must debt == 0 or absent, lots_version == 1, remaining == 40
quotas alice / lot#999999999999#1#1767323045000000#purchase:pay_1:0000
  delete the row
  must free == 100, held == 0
ledger alice / reversal:pay_1:1
  set booked_at = '2026-01-02T03:04:05.000000Z', reference_id = 'cs_1', reference_type =
    'payment', type = 'clawed_back', units = -100
  must user_id absent
payments ref#ch_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
events pay_1 / evt_00000003
  set booked_at = '2026-01-02T03:04:05.000000Z', created = 1767323048, type = 'charge.refunded',
    units = -100
"""
    )


def test_a_refunded_automatic_charge_switches_automatic_charges_off() -> None:
    """In the same transaction."""
    story = Story()
    payment = builders.automatic(story.books)
    story.settle(builders.intent_event(payment))
    assert (
        story.settle(builders.refunded(payment, 999))
        == """\
payments user#alice / pay_00000002
  set away_since = 1767323045, movements = 1, reversals = {'refunded_high_minor': 999, 'failed':
    {}, 'standing': {}, 'disputes': {}}, status = 'refunded', units_clawed_back = 100
  add version + 1
  remove failure_code
  must version == 1
quotas alice / quota
  set booked_at = '2026-01-02T03:04:05.000000Z', updated_at = '2026-01-02T03:04:05.000000Z'
  add lots_left + -100, lots_version + 1, remaining + -100, total + -100
  remove lots_due
  must lots_version == 1, remaining >= 100
quotas alice / lot#999999999999#1#1767323045000000#purchase:pay_00000002:0000
  delete the row
  must free == 100, held == 0
ledger alice / reversal:pay_00000002:1
  set booked_at = '2026-01-02T03:04:05.000000Z', reference_id = 'pi_00000002', reference_type =
    'payment', type = 'clawed_back', units = -100
  must user_id absent
payments ref#ch_00000002 / reference
  set payment_id = 'pay_00000002', user_id = 'alice'
quotas alice / top_up
  set on = False, paused = 'refunded'
  add version + 1
events pay_00000002 / evt_00000004
  set booked_at = '2026-01-02T03:04:05.000000Z', created = 1767323049, type = 'charge.refunded',
    units = -100
"""
    )
