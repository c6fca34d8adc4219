"""What a purchase writes, to the last member and condition: the transaction of each event."""

from dataclasses import replace

from billing.payments.plan import Plan
from support import builders
from support.transcripts import Story

DATED = Plan("dated", "Dated", "Units that expire.", 999, "usd", 100, expires_after_days=30)


def test_a_paid_session_completes_its_payment_and_credits_it() -> None:
    """On condition that the record is of that session, at that price, and not paid yet."""
    story = Story()
    assert (
        story.settle(builders.completed(story.payment))
        == """\
payments user#alice / pay_1
  set completed_at = '2026-01-02T03:04:05.000000Z', paid_minor = 999, payment_intent = 'pi_1',
    phase = 5, session_id = 'cs_1', status = 'completed', unseen = 'unseen'
  add version + 1
  remove failure_code
  must amount_minor == 999, currency == 'usd', expires_after_days == 0 or absent, owner exists,
    phase < 5, plan == 'starter', quota == 100, session_id == 'cs_1' or absent
quotas alice / quota
  set booked_at = '2026-01-02T03:04:05.000000Z', updated_at = '2026-01-02T03:04:05.000000Z'
  add lots_left + 100, lots_version + 1, remaining + 100, total + 100
  must debt == 0 or absent
quotas alice / lot#999999999999#1#1767323045000000#purchase:pay_1:0000
  set created_us = 1767323045000000, expires_at = 0, free = 100, held = 0, lot_id =
    'purchase:pay_1:0000', reference_id = 'cs_1', source = 'purchase', units = 100
  must user_id absent
ledger alice / funded:cs_1
  set booked_at = '2026-01-02T03:04:05.000000Z', reference_id = 'cs_1', reference_type =
    'payment', type = 'funded', units = 100
  must user_id absent
payments ref#pi_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
  must aside absent, waiting absent
events pay_1 / evt_00000002
  set booked_at = '2026-01-02T03:04:05.000000Z', created = 1767323047, type =
    'checkout.session.completed', units = 100
"""
    )


def test_units_that_expire_come_in_as_a_lot_with_a_time() -> None:
    """30 days after the purchase; the account's next expiry is noted beside its balance."""
    story = Story(DATED)
    assert (
        story.settle(builders.completed(story.payment))
        == """\
payments user#alice / pay_1
  set completed_at = '2026-01-02T03:04:05.000000Z', lot_expires_at = 1769915045, paid_minor =
    999, payment_intent = 'pi_1', phase = 5, session_id = 'cs_1', status = 'completed', unseen =
    'unseen'
  add version + 1
  remove failure_code
  must amount_minor == 999, currency == 'usd', expires_after_days == 30, owner exists, phase <
    5, plan == 'dated', quota == 100, session_id == 'cs_1' or absent
quotas alice / quota
  set booked_at = '2026-01-02T03:04:05.000000Z', lots_due = 1769915045, lots_exact = 1,
    updated_at = '2026-01-02T03:04:05.000000Z'
  add lots_left + 100, lots_version + 1, remaining + 100, total + 100
  must debt == 0 or absent, lots_version == 0 or absent
quotas alice / lot#001769915045#1#1767323045000000#purchase:pay_1:0000
  set created_us = 1767323045000000, expires_at = 1769915045, free = 100, held = 0, lot_id =
    'purchase:pay_1:0000', open = 'expires_7', reference_id = 'cs_1', source = 'purchase', units
    = 100
  must user_id absent
ledger alice / funded:cs_1
  set booked_at = '2026-01-02T03:04:05.000000Z', reference_id = 'cs_1', reference_type =
    'payment', type = 'funded', units = 100
  must user_id absent
payments ref#pi_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
  must aside absent, waiting absent
events pay_1 / evt_00000002
  set booked_at = '2026-01-02T03:04:05.000000Z', created = 1767323047, type =
    'checkout.session.completed', units = 100
"""
    )


def test_a_copy_of_an_expired_session_takes_its_place() -> None:
    """Its id leads to the payment as the first one's does."""
    story = Story()
    story.settle(builders.expired(story.payment))
    copy = replace(story.payment, session_id="cs_2")
    assert (
        story.settle(builders.completed(copy))
        == """\
payments user#alice / pay_1
  set completed_at = '2026-01-02T03:04:05.000000Z', paid_minor = 999, payment_intent = 'pi_1',
    phase = 5, session_id = 'cs_2', status = 'completed', unseen = 'unseen'
  add version + 1
  remove failure_code
  must version == 1
quotas alice / quota
  set booked_at = '2026-01-02T03:04:05.000000Z', updated_at = '2026-01-02T03:04:05.000000Z'
  add lots_left + 100, lots_version + 1, remaining + 100, total + 100
  must debt == 0 or absent
quotas alice / lot#999999999999#1#1767323045000000#purchase:pay_1:0000
  set created_us = 1767323045000000, expires_at = 0, free = 100, held = 0, lot_id =
    'purchase:pay_1:0000', reference_id = 'cs_2', source = 'purchase', units = 100
  must user_id absent
ledger alice / funded:cs_2
  set booked_at = '2026-01-02T03:04:05.000000Z', reference_id = 'cs_2', reference_type =
    'payment', type = 'funded', units = 100
  must user_id absent
payments user#alice / cs_2
  set payment_id = 'pay_1'
payments ref#pi_1 / reference
  set payment_id = 'pay_1', user_id = 'alice'
  must aside absent, waiting absent
events pay_1 / evt_00000003
  set booked_at = '2026-01-02T03:04:05.000000Z', created = 1767323048, type =
    'checkout.session.completed', units = 100
"""
    )


def test_an_automatic_charge_is_credited_under_its_intent() -> None:
    """On condition that no session pays the same payment."""
    story = Story()
    payment = builders.automatic(story.books)
    assert (
        story.settle(builders.intent_event(payment))
        == """\
payments user#alice / pay_00000002
  set completed_at = '2026-01-02T03:04:05.000000Z', paid_minor = 999, payment_intent =
    'pi_00000002', phase = 5, status = 'completed', unseen = 'unseen'
  add version + 1
  remove failure_code
  must amount_minor == 999, currency == 'usd', expires_after_days == 0 or absent, owner exists,
    payment_intent == 'pi_00000002' or absent, phase < 5, plan == 'starter', quota == 100,
    session_id absent
quotas alice / quota
  set booked_at = '2026-01-02T03:04:05.000000Z', updated_at = '2026-01-02T03:04:05.000000Z'
  add lots_left + 100, lots_version + 1, remaining + 100, total + 100
  must debt == 0 or absent
quotas alice / lot#999999999999#1#1767323045000000#purchase:pay_00000002:0000
  set created_us = 1767323045000000, expires_at = 0, free = 100, held = 0, lot_id =
    'purchase:pay_00000002:0000', reference_id = 'pi_00000002', source = 'purchase', units = 100
  must user_id absent
ledger alice / funded:pi_00000002
  set booked_at = '2026-01-02T03:04:05.000000Z', reference_id = 'pi_00000002', reference_type =
    'payment', type = 'funded', units = 100
  must user_id absent
payments ref#pi_00000002 / reference
  set payment_id = 'pay_00000002', user_id = 'alice'
  must aside absent, waiting absent
events pay_00000002 / evt_00000003
  set booked_at = '2026-01-02T03:04:05.000000Z', created = 1767323048, type =
    'payment_intent.succeeded', units = 100
"""
    )
