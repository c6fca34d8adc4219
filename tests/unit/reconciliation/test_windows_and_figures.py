"""How far back a run looks, and what it counts."""

from typing import Any, Final

import pytest
import reconcile
from billing.books import Books
from billing.parked import dropping, records
from billing.reconciliation import run
from billing.reconciliation.job import Run
from billing.reconciliation.report import Report
from billing.settlement import settlement
from billing.spending import debits
from billing.stripe_api.outcomes import StripeServerError
from billing.telemetry import metrics
from reconcile import IncompleteReconciliationError
from support import builders
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe

DAY_SECONDS: Final = 86_400


@pytest.fixture
def books() -> Books:
    """Nothing was sold."""
    return builders.books_on(MemoryStore(), clock=Clock())


@pytest.fixture
def stripe() -> Stripe:
    """Nothing was sold."""
    made = Stripe()
    made.rows_a_page = 100
    return made


def _run(books: Books, stripe: Stripe, since: int) -> Report:
    return run.run(Run(books, stripe, repair=True), since)  # type: ignore[arg-type]


def _remaining(books: Books) -> int:
    return debits.read(books, "alice").remaining


@pytest.mark.parametrize(("seconds_more", "remaining"), [(0, 50), (1, 100)])
def test_refunds_are_compared_for_sixty_days(
    books: Books, stripe: Stripe, seconds_more: int, remaining: int
) -> None:
    """A refund's own time counts, not its payment's."""
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    stripe.refund(payment, "re_1", 500)
    created = int(stripe.returned[0]["created"])
    _run(books, stripe, created + 60 * DAY_SECONDS + seconds_more)
    assert _remaining(books) == remaining


@pytest.mark.parametrize(("seconds_more", "remaining"), [(0, 0), (1, 100)])
def test_disputes_are_compared_for_a_hundred_and_eighty_days(
    books: Books, stripe: Stripe, seconds_more: int, remaining: int
) -> None:
    """A dispute's own time counts, not its payment's."""
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    withdrawn = builders.dispute(payment, "funds_withdrawn", "needs_response", -999)
    stripe.dispute(withdrawn)
    created = int(stripe.disputed[0]["created"])
    _run(books, stripe, created + 180 * DAY_SECONDS + seconds_more)
    assert _remaining(books) == remaining


def test_another_status_is_a_difference_though_no_units_move(books: Books, stripe: Stripe) -> None:
    """The webhook of a session's expiry was lost."""
    payment = pending(books)
    stripe.sell(payment, 1, status="expired", payment_status="unpaid", payment_intent=None)
    report = _run(books, stripe, 0)
    assert (report.counts, report.repaired, report.matched) == ({"status": 1}, 1, 0)


def _matched(books: Books, stripe: Stripe) -> None:
    payment = pending(books)
    settlement.apply(books, fact(builders.completed(payment)))
    stripe.sell(payment, 1767323045)


def _not_ours(books: Books, stripe: Stripe) -> None:
    stripe.sell(pending(books), 1767323045, metadata={})


def _dropped(books: Books, stripe: Stripe) -> None:
    payment = pending(books)
    stripe.sell(payment, 1767323045, amount_subtotal=1)
    settlement.apply(books, fact(builders.completed(payment, amount_subtotal=1)))
    for parked in records.all_parked(books):
        dropping.drop(books, parked, "a test")


def _differing(books: Books, stripe: Stripe) -> None:
    stripe.sell(pending(books), 1767323045)


@pytest.mark.parametrize("second", [_not_ours, _dropped, _differing])
def test_whatever_was_compared_counts_as_a_run(
    monkeypatch: pytest.MonkeyPatch, books: Books, stripe: Stripe, second: Any
) -> None:
    """Also where one list could not be read: each kind of row adds to what was compared."""
    _matched(books, stripe)
    second(books, stripe)
    counted: list[int] = []
    monkeypatch.setattr(metrics, "add_metric", lambda value, **_: counted.append(value))
    monkeypatch.setattr(reconcile, "books", lambda: books)
    monkeypatch.setattr(reconcile, "gateway", lambda: stripe)
    monkeypatch.setattr(stripe, "disputes", _unavailable)
    with pytest.raises(IncompleteReconciliationError):
        reconcile.handler({}, None)
    assert counted == [second is _differing]


def _unavailable(*_: object) -> dict[str, Any]:
    raise StripeServerError("503")
