"""What an event writes that moves no units, to the last member and condition."""

from collections.abc import Callable
from typing import Any

import pytest
from billing.payments.payment import Payment
from support import builders
from support.transcripts import Story


@pytest.mark.parametrize(
    ("make", "written"),
    [
        (
            builders.declined,
            """\
payments user#alice / pay_1
  set declined_at = 1767323047, failure_code = 'card_declined', phase = 1, status = 'failed'
  add version + 1
  must owner exists, phase < 1
events pay_1 / evt_00000002
  set booked_at = '2026-01-02T03:04:05.000002Z', created = 1767323047, type =
    'payment_intent.payment_failed', units = 0
""",
        ),
        (
            builders.completed_unpaid,
            """\
payments user#alice / pay_1
  set phase = 3, session_id = 'cs_1', status = 'processing'
  add version + 1
  must owner exists, phase < 3, session_id == 'cs_1' or absent
events pay_1 / evt_00000002
  set booked_at = '2026-01-02T03:04:05.000002Z', created = 1767323047, type =
    'checkout.session.completed', units = 0
""",
        ),
        (
            builders.async_failed,
            """\
payments user#alice / pay_1
  set phase = 4, session_id = 'cs_1', status = 'failed'
  add version + 1
  must owner exists, phase < 4, session_id == 'cs_1' or absent
events pay_1 / evt_00000002
  set booked_at = '2026-01-02T03:04:05.000002Z', created = 1767323047, type =
    'checkout.session.async_payment_failed', units = 0
""",
        ),
        (
            builders.expired,
            """\
payments user#alice / pay_1
  set phase = 2, session_id = 'cs_1', status = 'expired'
  add version + 1
  must owner exists, phase < 2, session_id == 'cs_1' or absent
events pay_1 / evt_00000002
  set booked_at = '2026-01-02T03:04:05.000002Z', created = 1767323047, type =
    'checkout.session.expired', units = 0
""",
        ),
    ],
)
def test_an_event_that_moves_no_units_writes_the_payment_and_its_mark(
    make: Callable[[Payment], dict[str, Any]], written: str
) -> None:
    """Unless the payment has got further already."""
    story = Story()
    assert story.settle(make(story.payment)) == written
