"""Which event changes which payment, from every phase: the whole table of docs and code."""

from dataclasses import replace
from typing import Any, Final

import pytest
from billing.facts import Fact
from billing.payments.deciding import decide
from billing.payments.decision import Already, Change, Park
from billing.payments.payment import Phase
from support import builders
from support.builders import fact
from support.pending_payment import PENDING

NOW: Final = "2026-01-02T03:04:05.000000Z"
PAID: Final = replace(
    PENDING, phase=Phase.PAID, payment_intent="pi_1", paid_minor=999, completed_at=NOW
)
UNPAID: Final = fact(builders.completed_unpaid(PENDING))
FAILED: Final = fact(builders.async_failed(PENDING))
EXPIRED: Final = fact(builders.expired(PENDING))
SOLD: Final = fact(builders.completed(PENDING))
STALE, AGAIN = Already(duplicate=False), Already(duplicate=True)


def _became(decision: object) -> object:
    return decision.payment.status if isinstance(decision, Change) else decision


@pytest.mark.parametrize(
    ("phase", "unpaid", "failed", "expired", "paid"),
    [
        (Phase.PENDING, "processing", "failed", "expired", "completed"),
        (Phase.DECLINED, "processing", "failed", "expired", "completed"),
        (Phase.EXPIRED, "processing", "failed", AGAIN, "completed"),
        (Phase.PROCESSING, AGAIN, "failed", STALE, "completed"),
        (Phase.FAILED, STALE, AGAIN, STALE, "completed"),
        (Phase.PAID, STALE, STALE, STALE, AGAIN),
    ],
)
def test_a_session_moves_its_payment_forward_alone(
    phase: Phase, unpaid: object, failed: object, expired: object, paid: object
) -> None:
    """What is further already is not undone by an event that comes late."""
    payment = replace(PENDING, phase=phase)
    became = [_became(decide(payment, event, NOW)) for event in (UNPAID, FAILED, EXPIRED, SOLD)]
    assert became == [unpaid, failed, expired, paid]


def test_a_credit_completes_the_payment_and_moves_all_its_units() -> None:
    """A decline before it is forgotten."""
    before = replace(PENDING, phase=Phase.DECLINED, failure_code="expired_card", declined_at=5)
    event = fact(builders.completed(PENDING, payment_intent="pi_1", amount_total=900))
    after = replace(
        before,
        phase=Phase.PAID,
        payment_intent="pi_1",
        paid_minor=900,
        completed_at=NOW,
        failure_code="",
        unseen="unseen",
        version=8,
    )
    assert decide(before, event, NOW) == Change(after, 100, "funded")


def test_an_event_that_moves_no_units_notes_the_session_alone() -> None:
    """Where the payment has none yet."""
    bare = replace(PENDING, session_id="")
    after = replace(PENDING, phase=Phase.EXPIRED, version=8)
    assert decide(bare, EXPIRED, NOW) == Change(after)


def test_an_automatic_charge_is_known_by_its_intent() -> None:
    """From the first event about it."""
    bare = replace(PENDING, session_id="")
    event = fact(builders.intent_event(bare, "processing", id="pi_9"))
    after = replace(bare, payment_intent="pi_9", phase=Phase.PROCESSING, version=8)
    assert decide(bare, event, NOW) == Change(after)


COPY: Final = replace(PENDING, session_id="cs_2")
MEANWHILE: Final = "cs_2 was paid for payment pay_1, which is cs_1's"


@pytest.mark.parametrize(
    ("phase", "decision"),
    [
        (Phase.PENDING, Park("other_session", f"{MEANWHILE}, and that one can still be paid")),
        (Phase.DECLINED, Park("other_session", f"{MEANWHILE}, and that one can still be paid")),
        (Phase.PROCESSING, Park("other_session", f"{MEANWHILE}, and that one can still be paid")),
        (Phase.EXPIRED, "completed"),
        (Phase.FAILED, "completed"),
        (Phase.PAID, Park("paid_twice", MEANWHILE)),
    ],
)
def test_a_copy_of_a_session_is_credited_only_where_ours_cannot_be_paid(
    phase: Phase, decision: object
) -> None:
    """https://docs.stripe.com/payments/checkout/abandoned-carts."""
    payment = replace(PENDING, phase=phase)
    found = decide(payment, fact(builders.completed(COPY)), NOW)
    assert _became(found) == decision
    if isinstance(found, Change):
        assert found.payment.session_id == "cs_2"
    for make in (builders.completed_unpaid, builders.async_failed, builders.expired):
        assert decide(payment, fact(make(COPY)), NOW) == STALE


def _claiming(**members: Any) -> Any:
    return replace(SOLD, **members)


@pytest.mark.parametrize(
    ("member", "field", "theirs", "ours"),
    [
        ("user_id", "user_id", "bob", "'alice' in our record and 'bob'"),
        ("plan", "plan", "pro", "'starter' in our record and 'pro'"),
        ("quota", "quota", 101, "100 in our record and 101"),
        ("amount_subtotal", "amount", 998, "999 in our record and 998"),
        ("currency", "currency", "eur", "'usd' in our record and 'eur'"),
    ],
)
def test_a_paid_session_that_claims_another_thing_waits_for_an_operator(
    member: str, field: Any, theirs: object, ours: str
) -> None:
    """It names the member, and whose is which; what moves no units is not compared."""
    why = f"{field} is {ours} at Stripe"
    event = _claiming(**{member: theirs})
    assert decide(PENDING, event, NOW) == Park("mismatch", why, (field,))
    assert decide(PAID, event, NOW) == Park("mismatch", why, (field,))
    assert _became(decide(PENDING, replace(event, kind="expired"), NOW)) == "expired"


def test_all_that_differs_is_named() -> None:
    event = _claiming(plan="pro", quota=1000)
    why = (
        "plan is 'starter' in our record and 'pro' at Stripe; "
        "quota is 100 in our record and 1000 at Stripe"
    )
    assert decide(PENDING, event, NOW) == Park("mismatch", why, ("plan", "quota"))


@pytest.mark.parametrize(
    ("event", "decision"),
    [
        (SOLD, Park("unknown_payment", "payment pay_1 of cs_1 is not in our records")),
        (
            fact(builders.declined(PENDING)),
            Park("unknown_payment", "payment pay_1 is not in our records"),
        ),
        (
            fact(builders.refunded(PENDING, 500)),
            Park("ahead", "a refund came before the payment it takes back"),
        ),
        (
            fact(builders.dispute(PENDING, "created", "needs_response")),
            Park("ahead", "a dispute came before the payment it takes back"),
        ),
    ],
)
def test_an_event_of_an_unknown_payment_is_parked_with_the_reason(
    event: Fact, decision: Park
) -> None:
    """Whether it is kept is decided elsewhere."""
    assert decide(None, event, NOW) == decision
    if decision.kind == "ahead":
        assert decide(replace(PENDING, phase=Phase.FAILED), event, NOW) == decision
