"""Confirming a payment asks Stripe, and settles what Stripe answers."""

from typing import Any

import pytest
from billing.books import Books
from billing.buying import confirmation
from billing.clock import epoch
from billing.errors import BillingError
from billing.settlement import settlement
from billing.spending import memory
from billing.stripe_api.outcomes import StripeNotFoundError
from support import builders
from support.builders import START, Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold. What is used before money goes back is written off."""
    memory._seen.clear()
    return builders.books_on(MemoryStore(), "write_off", clock)


def test_a_session_that_is_no_longer_ours_at_stripe_confirms_nothing(books: Books) -> None:
    """Its metadata was edited in Stripe's dashboard: the buyer sees the payment as we know
    it.
    """
    payment, stripe = pending(books), Stripe()
    stripe.sell(payment, epoch(START), metadata={})
    seen = confirmation.confirm(
        books,
        stripe,  # type: ignore[arg-type]
        "alice",
        payment.payment_id,
    )
    assert (seen.payment_id, seen.status) == (payment.payment_id, "pending")


def _settle(books: Books, *events: dict[str, Any]) -> None:
    for event in events:
        settlement.apply(books, fact(event))


def test_a_receipt_that_stripe_does_not_know_is_not_found(books: Books) -> None:
    """The key is another account's or mode's: an answer, and no fault of ours."""

    class Elsewhere(Stripe):
        def receipt_url(self, payment_intent: str) -> str:
            """See the gateway."""
            raise StripeNotFoundError(payment_intent)

    payment = pending(books)
    _settle(books, builders.completed(payment))
    with pytest.raises(BillingError, match="not_found"):
        confirmation.receipt_url(
            books,
            Elsewhere(),  # type: ignore[arg-type]
            "alice",
            payment.payment_id,
        )
