from collections.abc import Mapping
from typing import Any

import builders
import pytest
from billing import checkout
from billing.books import Books
from billing.checkout import Shop
from billing.errors import BillingError
from billing.gateway import AnsweredWithFaultError
from billing.identity import user_key
from billing.plans import catalogue
from memory_store import MemoryStore

SHOP = Shop("https://shop.example.com", builders.STACK, allow_promotion_codes=False, automatic_tax=False, invoice_creation=False)


class Stripe:
    """Creates sessions as Stripe does: one a key, and a fault under a key is replayed under it."""

    def __init__(self, store: MemoryStore) -> None:
        """``store`` is looked at when we are asked."""
        self.store = store
        self.made: dict[str, dict[str, Any]] = {}
        self.faults: set[str] = set()
        self.fails_next = 0
        self.loses_next = 0
        self.params: list[Mapping[str, Any]] = []
        self.recorded_before: list[bool] = []

    def create_session(self, params: Mapping[str, Any], idempotency_key: str) -> dict[str, Any]:
        """See the gateway."""
        self.params.append(params)
        owner = user_key(params["metadata"]["user_id"])
        self.recorded_before.append(self.store.get("payments", (owner, params["metadata"]["payment_id"])) is not None)
        if self.fails_next:
            self.fails_next -= 1
            self.faults.add(idempotency_key)
        if idempotency_key in self.faults:
            raise AnsweredWithFaultError("500")
        number = len(self.made) + 1
        made = self.made.setdefault(idempotency_key, {"id": f"cs_{number}", "url": f"https://pay/{number}", "expires_at": 1767409445})
        if self.loses_next:
            self.loses_next -= 1
            raise BillingError("stripe_unavailable", "the answer was lost")
        return made


@pytest.fixture
def books() -> Books:
    """Nothing was sold."""
    return builders.books_on(MemoryStore())


@pytest.fixture
def stripe(books: Books) -> Stripe:
    """Works."""
    return Stripe(books.store)  # type: ignore[arg-type]


def _buy(books: Books, stripe: Stripe, key: str = "", plan: str = "starter") -> dict[str, Any]:
    return checkout.create(books, stripe, SHOP, "alice", catalogue()[plan], key=key)  # type: ignore[arg-type]


def test_a_payment_is_recorded_before_stripe_is_asked(books: Books, stripe: Stripe) -> None:
    """A session that nobody here knows could be paid."""
    _buy(books, stripe)
    assert stripe.recorded_before == [True]


def test_the_session_and_its_payment_intent_carry_our_metadata(books: Books, stripe: Stripe) -> None:
    """Stripe does not copy it; declines are told by the payment intent."""
    answer = _buy(books, stripe)
    (params,) = stripe.params
    assert params["metadata"] == params["payment_intent_data"]["metadata"]
    assert params["metadata"]["payment_id"] == answer["payment_id"]
    assert params["metadata"]["quota"] == "100"


def test_a_repeated_key_is_one_purchase(books: Books, stripe: Stripe) -> None:
    """The first answer again; another plan is a conflict; no key, another purchase."""
    assert _buy(books, stripe, "k") == _buy(books, stripe, "k")
    with pytest.raises(BillingError, match="idempotency_conflict"):
        _buy(books, stripe, "k", "pro")
    assert len(stripe.made) == 1
    _buy(books, stripe)
    assert len(stripe.made) == 2


def test_a_session_whose_answer_was_lost_is_found_again(books: Books, stripe: Stripe) -> None:
    """The key to Stripe comes from the payment: no second session that could be paid as well."""
    stripe.loses_next = 1
    with pytest.raises(BillingError, match="stripe_unavailable"):
        _buy(books, stripe, "k")
    assert _buy(books, stripe, "k")["session_id"] == "cs_1"
    assert len(stripe.made) == 1


def test_a_fault_of_stripe_is_not_replayed_for_ever(books: Books, stripe: Stripe) -> None:
    """Stripe stores a 5xx under its key: the next attempt has another."""
    stripe.fails_next = checkout.FAULTS_MAX
    with pytest.raises(BillingError, match="stripe_unavailable"):
        _buy(books, stripe, "k")
    assert _buy(books, stripe, "k")["session_id"] == "cs_1"
