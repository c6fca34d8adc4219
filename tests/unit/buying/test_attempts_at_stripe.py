"""Under which keys Stripe is asked for a session when it fails, and who asks at the same time."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from billing.books import Books
from billing.buying import checkout
from billing.buying.session_params import Shop
from billing.errors import BillingError
from billing.payments.plans import catalogue
from billing.stripe_api.outcomes import StripeServerError
from support import builders
from support.builders import SHOP
from support.fakes.memory_store import MemoryStore


class Troubled:
    """Stripe: some keys meet a fault, and ``meanwhile`` happens during the first request."""

    def __init__(self, *faults: str) -> None:
        """``faults``: how the keys end."""
        self.faults = faults
        self.keys: list[str] = []
        self.params: list[Mapping[str, Any]] = []
        self.meanwhile: Callable[[], object] | None = None
        self.loses_answers = False

    def create_session(self, params: Mapping[str, Any], idempotency_key: str) -> dict[str, Any]:
        """See the gateway."""
        self.params.append(params)
        self.keys.append(idempotency_key)
        act, self.meanwhile = self.meanwhile, None
        if act:
            act()
        if idempotency_key.endswith(self.faults):
            raise StripeServerError("500")
        if self.loses_answers:
            raise BillingError("stripe_unavailable", "no answer")
        return {"id": f"cs_{idempotency_key}", "url": "https://pay/1", "expires_at": 1767409445}

    @property
    def attempts(self) -> list[str]:
        """The ends of the keys it was asked under."""
        return [key.rpartition("-")[2] for key in self.keys]


@pytest.fixture
def books() -> Books:
    """Nothing was sold."""
    return builders.books_on(MemoryStore())


def _buy(books: Books, stripe: Troubled) -> dict[str, Any]:
    return checkout.create(
        books,
        stripe,  # type: ignore[arg-type]
        SHOP,
        "alice",
        catalogue()["starter"],
        key="k",
    )


def test_two_requests_that_meet_one_fault_ask_again_under_one_key(books: Books) -> None:
    """And so does a third after them: under another key it would not find their session."""
    stripe = Troubled("-0")

    def ask_too() -> None:
        with pytest.raises(BillingError):
            _buy(books, stripe)

    stripe.meanwhile, stripe.loses_answers = ask_too, True
    with pytest.raises(BillingError, match="stripe_unavailable"):
        _buy(books, stripe)
    stripe.loses_answers = False
    assert _buy(books, stripe)["session_id"].endswith("-1")
    assert stripe.attempts == ["0", "0", "1", "1", "1"]


def test_a_request_asks_under_two_keys_and_the_next_goes_on_with_a_third(books: Books) -> None:
    """Stripe replays a fault under its key for a day."""
    stripe = Troubled("-0", "-1")
    with pytest.raises(BillingError, match="stripe_unavailable"):
        _buy(books, stripe)
    assert stripe.attempts == ["0", "1"]
    assert _buy(books, stripe)["session_id"].endswith("-2")


OPTIONAL = {"automatic_tax", "invoice_creation", "allow_promotion_codes"}


@pytest.mark.parametrize(
    ("shop", "sent"),
    [
        (SHOP, set()),
        (replace(SHOP, automatic_tax=True), {"automatic_tax"}),
        (replace(SHOP, invoice_creation=True), {"invoice_creation"}),
        (replace(SHOP, allow_promotion_codes=True), {"allow_promotion_codes"}),
    ],
)
def test_stripe_is_asked_for_what_the_template_switched_on_and_for_nothing_else(
    books: Books, shop: Shop, sent: set[str]
) -> None:
    """A seller without Stripe Tax could not sell at all: Stripe refuses what is not set up there.

    https://docs.stripe.com/tax/checkout
    """
    stripe, plan = Troubled("-none"), catalogue()["starter"]
    checkout.create(books, stripe, shop, "alice", plan, key="")  # type: ignore[arg-type]
    (params,) = stripe.params
    assert OPTIONAL.intersection(params) == sent
    (item,) = params["line_items"]
    assert ("tax_behavior" in item["price_data"]) == ("automatic_tax" in sent)
