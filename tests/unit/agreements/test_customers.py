"""A user's customer at Stripe: made once, whatever happens at the same time."""

from collections.abc import Mapping
from typing import Any

import pytest
from billing.agreements import customers
from billing.books import Books
from billing.errors import BillingError, ConditionFailedError, OutcomeUnknownError
from billing.storage.writes import Write
from billing.stripe_api.outcomes import StripeServerError
from support import builders
from support.builders import DEPLOYMENT
from support.fakes.memory_store import Meddled


class Stripe:
    """Makes customers, each once under its key; answers 5xx as often as it is told to."""

    def __init__(self) -> None:
        """Empty."""
        self.made: dict[str, str] = {}
        self.told: list[Mapping[str, str]] = []
        self.troubles = 0

    def create_customer(self, metadata: Mapping[str, str], idempotency_key: str) -> str:
        """As Stripe does."""
        if self.troubles:
            self.troubles -= 1
            raise StripeServerError
        self.told.append(metadata)
        return self.made.setdefault(idempotency_key, f"cus_{len(self.made)}")


@pytest.fixture
def stripe() -> Any:
    """Empty."""
    return Stripe()


@pytest.fixture
def store() -> Meddled:
    """Empty."""
    return Meddled()


@pytest.fixture
def books(store: Meddled) -> Books:
    """The test stack's."""
    return builders.books_on(store)


def test_a_user_has_one_customer_that_is_made_once(books: Books, stripe: Any) -> None:
    """Known at Stripe by the user's id and the deployment."""
    assert customers.find(books, "alice") == ""
    made = [customers.find_or_create(books, stripe, "alice") for _ in range(3)]
    assert made == ["cus_0"] * 3
    assert customers.find(books, "alice") == "cus_0"
    assert stripe.told == [{"user_id": "alice", "deployment": DEPLOYMENT}]
    assert customers.find_or_create(books, stripe, "bob") == "cus_1"


def test_two_concurrent_requests_make_one_customer(
    books: Books, store: Meddled, stripe: Any
) -> None:
    """Under one key."""
    store.first = lambda: customers.find_or_create(books, stripe, "alice")
    assert customers.find_or_create(books, stripe, "alice") == "cus_0"
    assert len(stripe.made) == 1


def test_a_customer_that_stripe_has_no_more_is_made_again_and_again(
    books: Books, stripe: Any
) -> None:
    """Each under a key of its own; who names an older one gets the newest."""
    for number in range(3):
        instead_of = f"cus_{number - 1}" if number else ""
        found = customers.find_or_create(books, stripe, "alice", instead_of=instead_of)
        assert found == f"cus_{number}"
        assert customers.find(books, "alice") == found
    assert customers.find_or_create(books, stripe, "alice", instead_of="cus_0") == "cus_2"


def test_the_customer_of_the_concurrent_request_counts(
    books: Books, store: Meddled, stripe: Any
) -> None:
    """Also where Stripe had answered that one under another key, after a 5xx."""

    def concurrent() -> None:
        stripe.troubles = 1
        customers.find_or_create(books, stripe, "alice")

    store.first = concurrent
    assert customers.find_or_create(books, stripe, "alice") == "cus_1"
    assert customers.find(books, "alice") == "cus_1"
    customers.find_or_create(books, stripe, "alice", instead_of="cus_1")
    store.first = lambda: customers.find_or_create(books, stripe, "alice", instead_of="cus_2")
    assert customers.find_or_create(books, stripe, "alice", instead_of="cus_2") == "cus_3"


def test_after_one_fault_of_stripes_another_key_is_tried(books: Books, stripe: Any) -> None:
    """Stripe would repeat the fault under the first one."""
    stripe.troubles = 1
    assert customers.find_or_create(books, stripe, "alice") == "cus_0"
    (key,) = stripe.made
    assert key.startswith("customer_")


def test_after_two_faults_the_buyer_is_told_to_try_again(books: Books, stripe: Any) -> None:
    """Nothing is stored."""
    stripe.troubles = 2
    with pytest.raises(BillingError, match="stripe_unavailable"):
        customers.find_or_create(books, stripe, "alice")
    assert customers.find(books, "alice") == ""


def test_a_row_that_came_and_went_leaves_it_unknown(
    books: Books, store: Meddled, stripe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for again."""

    def refuse(*_: Write) -> None:
        raise ConditionFailedError({0: None})

    monkeypatch.setattr(store, "commit", refuse)
    with pytest.raises(OutcomeUnknownError):
        customers.find_or_create(books, stripe, "alice")
