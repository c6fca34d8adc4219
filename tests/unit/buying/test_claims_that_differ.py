"""What an operator reads where Stripe and our record differ, and other edges of one payment."""

from dataclasses import replace
from typing import Any

import pytest
from billing.buying import checkout, orders
from billing.errors import ConditionFailedError
from billing.facts import DeclinedFact
from billing.payments.deciding import decide
from billing.payments.decision import Already, Change, Park
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.payments.reversals import Reversals
from support import builders
from support.builders import SHOP, fact, pending
from support.fakes.memory_store import MemoryStore

NOW = "2026-01-02T03:04:05.000000Z"


@pytest.fixture
def payment() -> Payment:
    """One with its session."""
    return pending(builders.books_on(MemoryStore()))


def _parked(payment: Payment, event: dict[str, Any]) -> Park:
    found = decide(payment, fact(event), NOW)
    assert isinstance(found, Park)
    return found


def test_a_session_that_names_another_user_is_a_mismatch(payment: Payment) -> None:
    other = replace(payment, user_id="bob")
    parked = _parked(payment, builders.completed(other))
    assert (parked.kind, parked.fields) == ("mismatch", ("user_id",))
    assert parked.why == "user_id is 'alice' in our record and 'bob' at Stripe"


def test_a_mismatch_says_which_figure_is_whose(payment: Payment) -> None:
    parked = _parked(payment, builders.completed(payment, amount_subtotal=1))
    assert parked.why == "amount is 999 in our record and 1 at Stripe"


def test_a_refund_in_another_currency_says_which_is_whose(payment: Payment) -> None:
    funded = decide(payment, fact(builders.completed(payment)), NOW)
    event = builders.refunded(payment, 1)
    event["data"]["object"]["currency"] = "eur"
    assert isinstance(funded, Change)
    parked = _parked(funded.payment, event)
    assert parked.why == "currency is 'usd' in our record and 'eur' at Stripe"


def test_a_decline_whose_time_was_not_stored_counts_as_of_no_time(payment: Payment) -> None:
    """A row of an older version has the reason alone."""
    old = {**payment.to_item(), "failure_code": "expired_card"}
    del old["declined_at"]
    declined = DeclinedFact(
        fact_id="evt_1",
        type="payment_intent.payment_failed",
        created=0,
        payment_id=payment.payment_id,
        user_id="alice",
        failure_code="card_declined",
    )
    assert decide(Payment.from_item(old), declined, NOW) == Already(duplicate=False)


def test_a_fact_of_no_known_kind_is_a_fault_of_ours() -> None:
    unknown: Any = object()
    with pytest.raises(AssertionError):
        Reversals().with_fact(unknown)


def test_a_payment_id_that_is_taken_is_a_fault_and_no_repeat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing stands under the caller's key, so nothing is replayed."""
    books = builders.books_on(MemoryStore())
    monkeypatch.setattr(orders, "new_id", lambda *_: "pay_1")
    pending(books, payment_id="pay_1")
    plan, gateway = catalogue()["starter"], None
    with pytest.raises(ConditionFailedError):
        checkout.create(books, gateway, SHOP, "alice", plan, key="k")  # type: ignore[arg-type]
