"""Which events of payments that we do not know are ours, of all kinds."""

from dataclasses import replace
from typing import Any, Final

import pytest
from billing.books import Books
from billing.facts import Fact
from billing.payments.ownership import moves_nothing, why_ignored
from support import builders
from support.builders import fact, pending
from support.fakes.memory_store import MemoryStore

PAYMENT: Final = pending(builders.books_on(MemoryStore()), payment_id="pay_elsewhere")
UNPAID: Final[dict[str, Any]] = {"payment_status": "unpaid"}
SESSION: Final = fact(builders.completed(PAYMENT))
REFUND: Final = fact(builders.refund(PAYMENT, "re_1", 500))
DISPUTE: Final = fact(builders.dispute(PAYMENT, "funds_withdrawn", "needs_response", -999))
MOVES_NOTHING: Final[dict[str, Fact]] = {
    "an expiry": fact(builders.expired(PAYMENT)),
    "a delayed payment": fact(builders.completed_unpaid(PAYMENT)),
    "a failed one": fact(builders.async_failed(PAYMENT)),
    "a decline": fact(builders.declined(PAYMENT)),
    "an inquiry": fact(builders.dispute(PAYMENT, "created", "warning_needs_response")),
}
MOVES: Final[dict[str, Fact]] = {
    "a purchase": SESSION,
    "a delayed purchase": fact(builders.async_succeeded(PAYMENT)),
    "a refund": REFUND,
    "money withdrawn": DISPUTE,
    "a dispute without money yet": fact(builders.dispute(PAYMENT, "created", "needs_response")),
    "a dispute that was won": fact(builders.dispute(PAYMENT, "closed", "won")),
    "an inquiry that took money": fact(
        builders.dispute(PAYMENT, "created", "warning_needs_response", -999)
    ),
}


@pytest.fixture
def books() -> Books:
    """Nothing was sold here."""
    return builders.books_on(MemoryStore())


@pytest.mark.parametrize("event", MOVES_NOTHING.values(), ids=MOVES_NOTHING)
def test_what_can_move_no_unit_is_never_kept(books: Books, event: Fact) -> None:
    """Whosever it is."""
    assert moves_nothing(event)
    assert "can move no unit" in why_ignored(books, event)
    assert why_ignored(books, event, linked=True)


@pytest.mark.parametrize("event", MOVES.values(), ids=MOVES)
def test_what_moves_units_and_names_our_deployment_is_kept(books: Books, event: Fact) -> None:
    """Its payment may come, or come back."""
    assert not moves_nothing(event)
    if event is not REFUND:
        assert why_ignored(books, event) == ""
    assert why_ignored(books, event, linked=True) == ""


@pytest.mark.parametrize("event", [SESSION, REFUND], ids=["session", "refund"])
def test_what_only_a_record_could_show_is_ours_is_kept_where_something_leads_to_one(
    books: Books, event: Any
) -> None:
    """Its metadata is older than the ids of deployments, or a seller has edited it."""
    old = replace(event, needs_record=True)
    assert "only our record could show" in why_ignored(books, old)
    assert why_ignored(books, old, linked=True) == ""
    assert why_ignored(books, replace(event, needs_record=False)) == ""


@pytest.mark.parametrize("known", [True, False])
def test_a_refund_whose_charge_names_a_record_of_ours_is_kept(books: Books, *, known: bool) -> None:
    """The charge has its payment's metadata, and the payment is not paid yet."""
    mine = pending(books)
    named = mine.payment_id if known else PAYMENT.payment_id
    refund: Any = fact(builders.refund(mine, "re_1", 500))
    event = replace(refund, needs_record=True, payment_id=named, user_id=mine.user_id)
    assert (why_ignored(books, event) == "") is known
    assert why_ignored(books, replace(event, payment_id=""))
