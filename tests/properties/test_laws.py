import itertools
import random
from collections.abc import Callable
from typing import Any, Final

import pytest
from billing.books import Books
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.dynamodb import Store
from billing.storage.keys import user_key
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.crowd import at_once, check_laws
from support import builders
from support.builders import fact, pending
from support.dynamo import Dynamo

PAID: Final[dict[str, tuple[Callable[[Payment], dict[str, Any]], ...]]] = {
    "paid immediately": (builders.completed,),
    "paid with a coupon": (
        lambda payment: builders.completed(
            payment, payment_status="no_payment_required", amount_total=0
        ),
    ),
    "paid after a while": (builders.completed_unpaid, builders.async_succeeded),
    "paid after a decline": (builders.declined, builders.completed),
    "reported as expired, then paid": (builders.expired, builders.completed),
    "delivered twice, under two ids": (builders.completed, builders.completed),
    "reported late as unpaid": (builders.async_succeeded, builders.completed_unpaid),
}
NOT_PAID: Final[dict[str, tuple[Callable[[Payment], dict[str, Any]], ...]]] = {
    "declined": (builders.declined,),
    "declined twice": (
        builders.declined,
        lambda payment: builders.declined(payment, "insufficient_funds"),
    ),
    "expired": (builders.expired,),
    "declined, then expired": (builders.declined, builders.expired),
    "under way": (builders.completed_unpaid,),
    "failed after a while": (builders.completed_unpaid, builders.async_failed),
    "failed, in another order of events": (builders.async_failed, builders.completed_unpaid),
}
_accounts = itertools.count(1)
_plans = st.sampled_from(sorted(catalogue()))


@pytest.fixture(scope="module")
def store(database: Dynamo) -> Store:
    """Shared by all examples, each with an account of its own: purchases of others are none of its
    business.
    """
    return database.store()


def _account(store: Store, before: list[str]) -> tuple[Books, str]:
    """An account that has bought and used some, and whose books are in order."""
    books, user_id = builders.books_on(store), f"user{next(_accounts)}"
    for plan in before:
        store.deadline.begin()
        settlement.apply(books, fact(builders.completed(_pending(books, user_id, plan))))
        debits.debit(Meter(books, ""), user_id, catalogue()[plan].quota // 3)
    return books, user_id


def _pending(books: Books, user_id: str, plan: str) -> Payment:
    books.store.deadline.begin()
    return pending(books, user_id, plan)


def _tell(
    books: Books, payment: Payment, story: tuple[Callable[[Payment], dict[str, Any]], ...]
) -> None:
    for make in story:
        books.store.deadline.begin()
        settlement.apply(books, fact(make(payment)))


def _status(books: Books, payment: Payment) -> str:
    item = books.store.get("payments", (user_key(payment.user_id), payment.payment_id))
    assert item is not None
    return str(item["status"])


@settings(max_examples=50)
@given(_plans, st.sampled_from(sorted(PAID)), st.lists(_plans, max_size=2))
def test_after_a_paid_purchase_quota_grows_by_exactly_what_the_plan_says(
    store: Store, plan: str, story: str, before: list[str]
) -> None:
    books, user_id = _account(store, before)
    payment = _pending(books, user_id, plan)
    was = debits.read(books, user_id)
    _tell(books, payment, PAID[story])
    now = debits.read(books, user_id)
    assert (now.total - was.total, now.remaining - was.remaining) == (catalogue()[plan].quota,) * 2
    assert (now.used, now.held, now.debt) == (was.used, was.held, was.debt)
    assert _status(books, payment) == "completed"


@settings(max_examples=50)
@given(_plans, st.sampled_from(sorted(NOT_PAID)), st.lists(_plans, max_size=2))
def test_after_a_failed_purchase_quota_is_what_it_was(
    store: Store, plan: str, story: str, before: list[str]
) -> None:
    """To the last member, its time of change included."""
    books, user_id = _account(store, before)
    payment = _pending(books, user_id, plan)
    was = debits.read(books, user_id)
    _tell(books, payment, NOT_PAID[story])
    assert debits.read(books, user_id) == was
    assert _status(books, payment) in ("failed", "expired", "processing")


@settings(max_examples=10)
@given(
    st.lists(_plans, min_size=2, max_size=24),
    st.lists(_plans, max_size=1),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_purchases_at_the_same_time_add_up_exactly(
    store: Store, plans: list[str], before: list[str], copies: int, order: random.Random
) -> None:
    """Real threads on one account, every delivery in several copies, some that fail among them."""
    books, user_id = _account(store, before)
    was = debits.read(books, user_id)
    payments = [_pending(books, user_id, plan) for plan in plans]
    deliveries = [builders.completed(payment) for payment in payments] * copies
    deliveries += [builders.expired(_pending(books, user_id, "starter")) for _ in range(4)]
    order.shuffle(deliveries)
    statuses = [
        done.status
        for done in at_once(store, [_applying(books, delivery) for delivery in deliveries])
    ]
    now = debits.read(books, user_id)
    assert (
        now.total - was.total
        == sum(payment.quota for payment in payments)
        == now.remaining - was.remaining
    )
    assert statuses.count("settled") == len(payments)
    assert statuses.count("duplicate") == len(payments) * (copies - 1)
    check_laws(store)


def _applying(books: Books, delivery: dict[str, Any]) -> Callable[[], settlement.Outcome]:
    return lambda: settlement.apply(books, fact(delivery))
