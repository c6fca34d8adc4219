"""Which decline changes which payment."""

from dataclasses import replace
from typing import Final

import pytest
from billing.payments.deciding import decide
from billing.payments.decision import Already, Change
from billing.payments.payment import Phase
from support import builders
from support.builders import fact
from support.pending_payment import PENDING

NOW: Final = "2026-01-02T03:04:05.000000Z"
STALE, AGAIN = Already(duplicate=False), Already(duplicate=True)


@pytest.mark.parametrize(
    ("phase", "status", "after"),
    [
        (Phase.PENDING, "failed", Phase.DECLINED),
        (Phase.DECLINED, "failed", Phase.DECLINED),
        (Phase.EXPIRED, "expired", Phase.EXPIRED),
        (Phase.PROCESSING, "processing", Phase.PROCESSING),
        (Phase.FAILED, "failed", Phase.FAILED),
    ],
)
def test_a_decline_notes_its_code_and_its_time(phase: Phase, status: str, after: Phase) -> None:
    """The status stays where the checkout has got further."""
    event = fact(builders.declined(PENDING, "expired_card", created=50))
    noted = replace(PENDING, phase=after, failure_code="expired_card", declined_at=50, version=8)
    decision = decide(replace(PENDING, phase=phase), event, NOW)
    assert decision == Change(noted)
    assert isinstance(decision, Change)
    assert decision.payment.status == status
    assert decide(replace(PENDING, phase=Phase.PAID), event, NOW) == STALE


@pytest.mark.parametrize(
    ("created", "code", "decision"),
    [
        (49, "z", STALE),
        (50, "a", STALE),
        (50, "expired_card", AGAIN),
        (50, "z", "z"),
        (51, "a", "a"),
    ],
)
def test_the_latest_decline_counts(created: int, code: str, decision: object) -> None:
    """Of two in one second the later name, in whichever order they come."""
    known = replace(PENDING, phase=Phase.DECLINED, failure_code="expired_card", declined_at=50)
    found = decide(known, fact(builders.declined(PENDING, code, created=created)), NOW)
    assert (found.payment.failure_code if isinstance(found, Change) else found) == decision
