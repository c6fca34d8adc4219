"""A payment as it is shown, stored and claimed, to the last member."""

from dataclasses import replace
from typing import Any, Final

import pytest
from billing.payments.deciding import decide
from billing.payments.decision import Change, Park
from billing.payments.dispute import Dispute
from billing.payments.payment import Payment, Phase
from billing.payments.plan import Plan
from billing.payments.reversals import Reversals
from support import builders, pending_payment
from support.builders import fact
from support.pending_payment import CREATED

DONE: Final = "2026-01-02T03:04:05.000000Z"
PENDING: Final = replace(pending_payment.PENDING, version=0)
PAID: Final = replace(
    PENDING, phase=Phase.PAID, payment_intent="pi_1", paid_minor=900, completed_at=DONE
)
SHOWN: Final[dict[str, Any]] = {
    "payment_id": "pay_1",
    "session_id": "cs_1",
    "plan": "starter",
    "quota": 100,
    "amount_minor": 999,
    "amount": "9.99",
    "currency": "usd",
    "paid_minor": None,
    "payment_intent_id": None,
    "status": "pending",
    "created_at": CREATED,
    "completed_at": None,
    "refunded_minor": 0,
    "units_clawed_back": 0,
    "failure_code": None,
}
SHOWN_PAID: Final = {
    **SHOWN,
    "paid_minor": 900,
    "payment_intent_id": "pi_1",
    "status": "completed",
    "completed_at": DONE,
}
ALL_BACK: Final = Reversals(refunded_high_minor=950)


@pytest.mark.parametrize(
    ("payment", "shown"),
    [
        (PENDING, SHOWN),
        (replace(PENDING, session_id="", payment_intent="pi_1"), {**SHOWN, "session_id": None}),
        (
            replace(PENDING, phase=Phase.DECLINED, failure_code="expired_card"),
            {**SHOWN, "status": "failed", "failure_code": "expired_card"},
        ),
        (PAID, SHOWN_PAID),
        (
            replace(PAID, payment_intent="", paid_minor=0),
            {**SHOWN_PAID, "payment_intent_id": None, "paid_minor": 0},
        ),
        (
            replace(PAID, reversals=ALL_BACK, units_clawed_back=100),
            {
                **SHOWN_PAID,
                "status": "refunded",
                "refunded_minor": 900,
                "units_clawed_back": 100,
            },
        ),
    ],
    ids=["pending", "automatic", "declined", "paid", "free", "refunded"],
)
def test_a_payment_is_shown_whole(payment: Payment, shown: dict[str, Any]) -> None:
    """What was paid and by which intent is shown once it is; no more came back than was paid."""
    assert payment.as_answer() == shown


def _open(amount: int) -> Reversals:
    dispute = Dispute(amount=amount, opened=True, transactions={"txn_1": -amount})
    return Reversals(disputes={"du_1": dispute})


@pytest.mark.parametrize(
    ("phase", "reversals", "status"),
    [
        (Phase.PENDING, Reversals(), "pending"),
        (Phase.DECLINED, Reversals(), "failed"),
        (Phase.EXPIRED, Reversals(), "expired"),
        (Phase.PROCESSING, Reversals(), "processing"),
        (Phase.FAILED, Reversals(), "failed"),
        (Phase.PAID, Reversals(), "completed"),
        (Phase.PAID, Reversals(refunded_high_minor=1), "partially_refunded"),
        (Phase.PAID, Reversals(refunded_high_minor=899), "partially_refunded"),
        (Phase.PAID, Reversals(refunded_high_minor=900), "refunded"),
        (Phase.PAID, Reversals(refunded_high_minor=901), "refunded"),
        (Phase.PAID, _open(1), "disputed"),
        (Phase.PAID, replace(_open(1), refunded_high_minor=900), "disputed"),
    ],
)
def test_the_status_follows_the_phase_and_then_the_money(
    phase: Phase, reversals: Reversals, status: str
) -> None:
    """https://docs.stripe.com/api/charges/object#charge_object-refunded."""
    assert replace(PAID, phase=phase, reversals=reversals).status == status


def test_a_new_payment_has_the_plans_price_and_units() -> None:
    plan = Plan("dated", "Dated", "Units.", 500, "eur", 50, expires_after_days=30)
    made = Payment.of(plan, "pay_2", "bob", CREATED)
    assert made == replace(
        PENDING,
        payment_id="pay_2",
        user_id="bob",
        plan="dated",
        quota=50,
        amount_minor=500,
        currency="eur",
        session_id="",
        expires_after_days=30,
    )
    whole = {"payment_id": "pay_2", "user_id": "bob", "plan": "dated", "quota": 50}
    assert made.claims == {**whole, "expires_after_days": 30}
    assert replace(made, expires_after_days=0).claims == whole


def test_the_first_reversals_of_a_payment_move_units_by_the_money() -> None:
    """A cent takes no unit of 100 for 900; nothing new is a duplicate."""
    cent = decide(PAID, fact(builders.refunded(PAID, 1)), "")
    learned = replace(PAID, reversals=Reversals(refunded_high_minor=1), version=1)
    assert cent == Change(learned)
    half = decide(PAID, fact(builders.refunded(PAID, 450)), "")
    taken = replace(
        PAID,
        reversals=Reversals(refunded_high_minor=450),
        units_clawed_back=50,
        movements=1,
        version=1,
    )
    assert half == Change(taken, -50, "clawed_back")
    back = decide(taken, fact(builders.refund(PAID, "re_1", 450)), "")
    known = Reversals(refunded_high_minor=450, failed={"re_1": 450})
    given = replace(taken, reversals=known, units_clawed_back=0, movements=2, version=2)
    assert back == Change(given, 50, "reinstated")


def test_a_single_unit_comes_back_as_one() -> None:
    """9 of 900 are one unit of 100."""
    known = Reversals(refunded_high_minor=9)
    taken = replace(PAID, reversals=known, units_clawed_back=1, movements=1, version=1)
    assert decide(PAID, fact(builders.refunded(PAID, 9)), "") == Change(taken, -1, "clawed_back")
    back = decide(taken, fact(builders.refund(PAID, "re_1", 9)), "")
    assert isinstance(back, Change)
    assert (back.units, back.entry) == (1, "reinstated")


def test_a_refund_in_another_currency_is_a_mismatch() -> None:
    event = fact(builders.refunded(replace(PAID, currency="eur"), 450))
    why = "currency is 'usd' in our record and 'eur' at Stripe"
    assert decide(PAID, event, "") == Park("mismatch", why, ("currency",))
