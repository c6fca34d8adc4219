"""What a checkout does when Stripe fails or refuses, try by try."""

from dataclasses import replace
from typing import Any

import pytest
from billing.books import Books
from billing.buying import checkout
from billing.errors import BillingError, OutcomeUnknownError, StripeRefusedError
from billing.payments.plan import Plan
from billing.storage.keys import user_key
from billing.storage.writes import Write
from billing.stripe_api.outcomes import StripeServerError
from support.builders import SHOP, Clock, books_on
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_sessions import Sessions

PLAN = Plan("small", "Small Pack", "50 API calls.", 500, "eur", 50)
NO_CUSTOMER = StripeRefusedError({"code": "resource_missing", "param": "customer"})
NO_PRICE = StripeRefusedError({"code": "amount_too_small", "param": "line_items"})


class Customers:
    """The customers that a checkout asks for."""

    def __init__(self) -> None:
        """No customer was asked for."""
        self.instead_of: list[str] = []

    def __call__(self, instead_of: str) -> str:
        """A new one each time."""
        self.instead_of.append(instead_of)
        return f"cus_{len(self.instead_of)}"


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold."""
    return books_on(MemoryStore(), clock=clock)


def _buy(books: Books, stripe: Sessions, customers: Customers | None = None) -> dict[str, Any]:
    books.store.deadline.begin()
    return checkout.create(
        books,
        stripe,  # type: ignore[arg-type]
        SHOP,
        "alice",
        PLAN,
        key="k",
        customer=customers,
    )


def _attempts(stripe: Sessions) -> list[str]:
    return [key.rpartition("-")[2] for key in stripe.keys]


def test_one_fault_of_stripes_is_got_over_under_a_new_key(books: Books) -> None:
    stripe = Sessions(StripeServerError("500"))
    assert _buy(books, stripe)["session_id"] == "cs_2"
    assert _attempts(stripe) == ["0", "1"]


def test_two_faults_of_stripes_are_an_outage(books: Books) -> None:
    """The buyer was charged nothing, and a repeat goes on under the next key."""
    stripe = Sessions(StripeServerError("500"), StripeServerError("500"))
    with pytest.raises(BillingError, match=r"^stripe_unavailable: Stripe has trouble") as refused:
        _buy(books, stripe)
    assert refused.value.status == 502
    assert _buy(books, stripe)["session_id"] == "cs_3"
    assert _attempts(stripe) == ["0", "1", "2"]


def test_a_customer_that_was_deleted_at_stripe_is_replaced_by_another(books: Books) -> None:
    """Under a new key, since Stripe replays the refusal under the old one."""
    stripe, customers = Sessions(NO_CUSTOMER), Customers()
    assert _buy(books, stripe, customers)["session_id"] == "cs_2"
    assert _attempts(stripe) == ["0", "1"]
    assert customers.instead_of == ["", "cus_1"]
    assert [params["customer"] for params in stripe.params] == ["cus_1", "cus_2"]


@pytest.mark.parametrize(
    ("refusal", "customers"), [(NO_PRICE, Customers()), (NO_CUSTOMER, None), (NO_PRICE, None)]
)
def test_any_other_refusal_is_final(
    books: Books, refusal: StripeRefusedError, customers: Customers | None
) -> None:
    """It is not asked again: the seller must fix the cause."""
    stripe = Sessions(refusal)
    with pytest.raises(StripeRefusedError):
        _buy(books, stripe, customers)
    assert _attempts(stripe) == ["0"]


def test_a_lost_answer_while_a_card_is_saved_is_unknown_to_the_buyer(books: Books) -> None:
    """It is asked for again under the same key, and for the same customer."""
    lost = BillingError("stripe_unavailable", "the answer was lost")
    stripe, customers = Sessions(lost), Customers()
    with pytest.raises(BillingError, match="the answer was lost"):
        _buy(books, stripe, customers)
    assert _buy(books, stripe, customers)["session_id"] == "cs_2"
    assert _attempts(stripe) == ["0", "0"]


def test_two_refusals_of_customers_are_an_outage(books: Books) -> None:
    """There is an end to it."""
    stripe, customers = Sessions(NO_CUSTOMER, NO_CUSTOMER), Customers()
    with pytest.raises(BillingError, match="stripe_unavailable"):
        _buy(books, stripe, customers)
    assert _attempts(stripe) == ["0", "1"]


def test_a_payment_without_a_card_to_save_asks_for_no_customer(books: Books) -> None:
    stripe = Sessions()
    _buy(books, stripe)
    assert "customer" not in stripe.params[0]


def _payment_id(books: Books) -> str:
    rows: Any = books.store
    return next(str(row["id"]) for row in rows.tables["payments"].values() if "phase" in row)


def test_a_session_that_lost_the_race_is_closed_and_the_first_is_answered(books: Books) -> None:
    """Each buyer pays once."""

    def attach_another() -> None:
        key = (user_key("alice"), _payment_id(books))
        first = {"session_id": "cs_first", "url": "https://pay/first", "expires_at": "soon"}
        books.store.commit(Write("payments", key, set=first))

    stripe = Sessions(attach_another)
    answer = _buy(books, stripe)
    assert (answer["session_id"], answer["url"]) == ("cs_first", "https://pay/first")
    assert stripe.closed == ["cs_1"]


def test_a_payment_that_vanished_meanwhile_is_an_unknown_outcome(books: Books) -> None:
    """A restore took it: the caller asks again, and nothing was answered that could be paid."""
    rows: Any = books.store
    stripe = Sessions(rows.tables["payments"].clear)
    named = r"^payment pay_\w+ is named by a key but is not there$"
    with pytest.raises(OutcomeUnknownError, match=named):
        _buy(books, stripe)
    assert stripe.closed == []


def test_a_fault_during_which_the_payment_vanished_is_an_unknown_outcome(books: Books) -> None:
    """The attempt cannot be counted."""
    rows: Any = books.store

    class Vanishing(Sessions):
        def create_session(self, params: Any, idempotency_key: str) -> dict[str, Any]:
            """See the gateway."""
            rows.tables["payments"].clear()
            return super().create_session(params, idempotency_key)

    with pytest.raises(OutcomeUnknownError, match="is not there"):
        _buy(books, Vanishing(StripeServerError("500")))


def test_another_order_under_one_key_says_what_to_do(books: Books) -> None:
    """It is the caller's mistake: a new purchase needs a new key."""
    stripe = Sessions()
    _buy(books, stripe)
    other = replace(PLAN, id="large")
    with pytest.raises(BillingError) as refused:
        checkout.create(books, stripe, SHOP, "alice", other, key="k")  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.status) == ("idempotency_conflict", 409)
    assert "send a new key for a new purchase" in refused.value.detail


@pytest.mark.parametrize(("seconds", "keys"), [(82_799, 1), (82_800, 2)])
def test_stripe_is_asked_under_one_key_for_23_hours_less_a_second(
    books: Books, clock: Clock, seconds: int, keys: int
) -> None:
    """It keeps keys for 24: https://docs.stripe.com/api/idempotent_requests."""
    stripe = Sessions(BillingError("stripe_unavailable", "lost"))
    with pytest.raises(BillingError):
        _buy(books, stripe)
    clock.advance(seconds=seconds)
    _buy(books, stripe)
    assert len(set(stripe.keys)) == keys
