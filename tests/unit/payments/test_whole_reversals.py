"""What money that goes back writes, to the last member and condition."""

from billing.payments.plan import Plan
from support import builders
from support.transcripts import Story

DATED = Plan("dated", "Dated", "Units that expire.", 999, "usd", 100, expires_after_days=30)


def test_a_part_refund_and_its_failure_move_units_out_of_and_into_lots() -> None:
    """What comes back is a lot of its own, that expires when the purchase's did."""
    story = Story(DATED)
    story.settle(builders.completed(story.payment))
    story.clock.advance(days=3)
    assert (
        story.settle(builders.refunded(story.payment, 500))
        == """\
payments user#alice / pay_1
  set away_since = 1767582245, movements = 1, reversals = {'refunded_high_minor': 500, 'failed':
    {}, 'standing': {}, 'disputes': {}}, status = 'partially_refunded', units_clawed_back = 50
  add version + 1
  remove failure_code
  must version == 1
quotas alice / quota
  set booked_at = '2026-01-05T03:04:05.000000Z', lots_due = 1769915045, updated_at =
    '2026-01-05T03:04:05.000000Z'
  add lots_left + -50, lots_version + 1, remaining + -50, total + -50
  must lots_version == 1, remaining >= 50
quotas alice / lot#001769915045#1#1767323045000000#purchase:pay_1:0000
  set free = 50
  must free == 100, held == 0
ledger alice / reversal:pay_1:1
  set booked_at = '2026-01-05T03:04:05.000000Z', reference_id = 'cs_1', reference_type =
    'payment', type = 'clawed_back', units = -50
  must user_id absent
payments ref#ch_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
events pay_1 / evt_00000003
  set booked_at = '2026-01-05T03:04:05.000000Z', created = 1767323048, type = 'charge.refunded',
    units = -50
"""
    )
    assert (
        story.settle(builders.refund(story.payment, "re_1", 500))
        == """\
payments user#alice / pay_1
  set away_since = 0, movements = 2, reversals = {'refunded_high_minor': 500, 'failed': {'re_1':
    500}, 'standing': {}, 'disputes': {}}, status = 'completed', units_clawed_back = 0
  add version + 1
  remove failure_code
  must version == 2
quotas alice / quota
  set booked_at = '2026-01-05T03:04:05.000000Z', lots_due = 1769915045, lots_exact = 1,
    updated_at = '2026-01-05T03:04:05.000000Z'
  add lots_left + 50, lots_version + 1, remaining + 50, total + 50
  must debt == 0 or absent, lots_version == 2
quotas alice / lot#001769915045#1#1767323045000000#purchase:pay_1:0002
  set created_us = 1767323045000000, expires_at = 1769915045, free = 50, held = 0, lot_id =
    'purchase:pay_1:0002', open = 'expires_7', reference_id = 'cs_1', source = 'purchase', units
    = 50
  must user_id absent
ledger alice / reversal:pay_1:2
  set booked_at = '2026-01-05T03:04:05.000000Z', reference_id = 'cs_1', reference_type =
    'payment', type = 'reinstated', units = 50
  must user_id absent
payments ref#ch_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
events pay_1 / evt_00000004
  set booked_at = '2026-01-05T03:04:05.000000Z', created = 1767323049, type = 'refund.failed',
    units = 50
"""
    )


def test_a_refund_of_units_that_expired_counts_them_as_taken_back() -> None:
    """It makes no debt, and when it fails nothing comes back."""
    story = Story(DATED)
    story.settle(builders.completed(story.payment))
    story.clock.advance(days=31)
    assert (
        story.settle(builders.refunded(story.payment, 500))
        == """\
payments user#alice / pay_1
  set away_since = 1770001445, movements = 1, reversals = {'refunded_high_minor': 500, 'failed':
    {}, 'standing': {}, 'disputes': {}}, status = 'partially_refunded', units_clawed_back = 50,
    units_expired = 50
  add version + 1
  remove failure_code
  must version == 1
quotas alice / quota
  set booked_at = '2026-02-02T03:04:05.000000Z', updated_at = '2026-02-02T03:04:05.000000Z'
  add lots_version + 1
  remove lots_due
  must lots_version == 2, remaining >= 0
ledger alice / reversal:pay_1:1
  set booked_at = '2026-02-02T03:04:05.000000Z', expired = 50, reference_id = 'cs_1',
    reference_type = 'payment', type = 'clawed_back', units = 0
  must user_id absent
payments ref#ch_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
events pay_1 / evt_00000003
  set booked_at = '2026-02-02T03:04:05.000000Z', created = 1767323048, type = 'charge.refunded',
    units = 0
"""
    )
    assert (
        story.settle(builders.refund(story.payment, "re_1", 500))
        == """\
payments user#alice / pay_1
  set away_since = 0, movements = 2, reversals = {'refunded_high_minor': 500, 'failed': {'re_1':
    500}, 'standing': {}, 'disputes': {}}, status = 'completed', units_clawed_back = 0,
    units_expired = 0
  add version + 1
  remove failure_code
  must version == 2
quotas alice / quota
  set booked_at = '2026-02-02T03:04:05.000000Z', updated_at = '2026-02-02T03:04:05.000000Z'
  must debt == 0 or absent
ledger alice / reversal:pay_1:2
  set booked_at = '2026-02-02T03:04:05.000000Z', expired = -50, reference_id = 'cs_1',
    reference_type = 'payment', type = 'reinstated', units = 0
  must user_id absent
payments ref#ch_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
events pay_1 / evt_00000004
  set booked_at = '2026-02-02T03:04:05.000000Z', created = 1767323049, type = 'refund.failed',
    units = 0
"""
    )
