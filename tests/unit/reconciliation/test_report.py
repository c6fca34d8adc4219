"""A reconciliation's report: kinds of differences, and their sentences."""

from typing import Any

import pytest
from billing.books import Books
from billing.clock import epoch
from billing.reconciliation import run as reconciliation
from billing.reconciliation.job import Run
from support import builders
from support.builders import Clock, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold."""
    return builders.books_on(MemoryStore(), clock=clock)


@pytest.mark.parametrize(
    ("member", "value", "kind"),
    [
        ("amount_subtotal", 1, "amount"),
        ("currency", "eur", "currency"),
        ("plan", "pro", "identity"),
        ("id", "cs_test_other", "identity"),
    ],
)
def test_a_difference_that_an_operator_must_judge_is_of_the_right_kind(
    books: Books, member: str, value: Any, kind: str
) -> None:
    """What to look at first."""
    stripe, payment = Stripe(), pending(books)
    members = {member: value}
    if member == "plan":
        members = {"metadata": {**builders.metadata(payment), "plan": value}}
    stripe.sell(payment, epoch(books.clock()), **members)
    report = reconciliation.run(Run(books, stripe, repair=True), 0)  # type: ignore[arg-type]
    assert report.counts == {kind: 1}
