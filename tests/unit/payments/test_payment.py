"""Why a payment was declined: https://docs.stripe.com/declines."""

import itertools
from typing import Any

import pytest
from billing.books import Books
from billing.buying import queries
from billing.payments.payment import Payment
from billing.settlement import settlement
from billing.storage.keys import user_key
from billing.storage.writes import Write
from billing.stripe_api.events import parse
from support import builders
from support.builders import fact, pending
from support.fakes.memory_store import MemoryStore

Event = dict[str, Any]
NOON = 1767355200


@pytest.fixture
def books() -> Books:
    """Empty ones."""
    return builders.books_on(MemoryStore())


def _settle(books: Books, event: Event) -> str:
    books.store.deadline.begin()
    return settlement.apply(books, fact(event)).status


def _told(books: Books, payment: Payment) -> tuple[str, str | None]:
    answer = queries.find(books, "alice", payment.payment_id).as_answer()
    return answer["status"], answer["failure_code"]


def test_the_reason_of_the_latest_decline_is_shown(books: Books) -> None:
    """A minute later the buyer tries a card that has expired: that is what the buyer must see."""
    payment = pending(books)
    assert (
        _settle(books, builders.declined(payment, "processing_error", created=NOON)) == "recorded"
    )
    later = builders.declined(payment, "expired_card", created=NOON + 60)
    assert _settle(books, later) == "recorded"
    assert _told(books, payment) == ("failed", "expired_card")
    assert _settle(books, later) == "duplicate"


def test_a_second_decline_for_the_same_reason_is_no_duplicate(books: Books) -> None:
    """It is the decline that the next one is compared with."""
    payment = pending(books)
    first, second, late = (
        builders.declined(payment, code, created=NOON + minute * 60)
        for minute, code in ((0, "expired_card"), (9, "expired_card"), (5, "processing_error"))
    )
    assert [_settle(books, event) for event in (first, second, late)] == ["recorded"] * 3
    assert _told(books, payment) == ("failed", "expired_card")


def test_declines_in_any_order_end_with_the_latest_reason() -> None:
    """Also two of one second, whose order Stripe's ``created`` does not tell."""
    told = set()
    for order in itertools.permutations(range(4)):
        books = builders.books_on(MemoryStore())
        payment = pending(books, payment_id="pay_1", session_id="cs_1")
        events = [
            builders.declined(payment, "expired_card", created=NOON),
            builders.declined(payment, "processing_error", created=NOON + 60),
            builders.declined(payment, "incorrect_cvc", created=NOON + 120),
            builders.declined(payment, "incorrect_zip", created=NOON + 120),
        ]
        for place in order:
            _settle(books, events[place])
        told.add(_told(books, payment))
    assert len(told) == 1
    assert told <= {("failed", "incorrect_cvc"), ("failed", "incorrect_zip")}


@pytest.mark.parametrize(
    ("code", "decline_code", "told"),
    [
        ("card_declined", "insufficient_funds", "insufficient_funds"),
        ("card_declined", "generic_decline", "generic_decline"),
        ("card_declined", None, "card_declined"),
        ("card_declined", "", "card_declined"),
        ("card_declined", "\ud800", "card_declined"),
        ("card_declined", "x" * 256, "card_declined"),
        ("expired_card", "expired_card", "expired_card"),
        ("incorrect_cvc", "do_not_honor", "incorrect_cvc"),
    ],
)
def test_the_issuers_reason_is_kept_where_the_code_says_only_declined(
    code: str, decline_code: str | None, told: str
) -> None:
    """``decline_code`` where ``code`` is ``card_declined``."""
    event = builders.declined(pending(builders.books_on(MemoryStore())), code, decline_code)
    assert getattr(parse(event, builders.OURS), "failure_code", "") == told


@pytest.mark.parametrize(
    ("make", "status"),
    [(builders.completed_unpaid, "processing"), (builders.expired, "expired")],
)
def test_a_decline_after_the_checkout_has_ended_notes_the_reason_only(
    books: Books, make: Any, status: str
) -> None:
    """The status stays, whichever comes first."""
    for is_first in (True, False):
        payment = pending(books)
        events = [make(payment), builders.declined(payment, "card_declined", "lost_card")]
        for event in events if is_first else reversed(events):
            _settle(books, event)
        assert _told(books, payment) == (status, "lost_card")


def test_a_completed_payment_shows_no_reason(books: Books) -> None:
    """Nor does a decline that is reported after it."""
    payment = pending(books)
    _settle(books, builders.declined(payment, "expired_card", created=NOON))
    _settle(books, builders.completed(payment))
    _settle(books, builders.declined(payment, "processing_error", created=NOON + 60))
    assert _told(books, payment) == ("completed", None)


def test_a_payment_that_was_declined_before_the_time_was_noted_takes_the_next_reason(
    books: Books,
) -> None:
    """Rows of an earlier version have a reason without its time."""
    payment = pending(books)
    old = {"phase": 1, "status": "failed", "failure_code": "processing_error"}
    key = (user_key("alice"), payment.payment_id)
    books.store.commit(Write("payments", key, set=old, remove=("declined_at",)))
    assert _told(books, payment) == ("failed", "processing_error")
    _settle(books, builders.declined(payment, "expired_card", created=NOON))
    assert _told(books, payment) == ("failed", "expired_card")
