"""Details of settling and buying that only an account at the edge shows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from billing.books import Books
from billing.buying import checkout
from billing.buying.session_params import Shop
from billing.holds import closing, hold, placing
from billing.money import decimal_string
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.stripe_api.outcomes import StripeServerError
from support import builders, laws
from support.builders import SHOP, Clock, fact, pending
from support.fakes.memory_store import MemoryStore


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold. What is used before money goes back is written off."""
    memory._seen.clear()
    return builders.books_on(MemoryStore(), "write_off", clock)


def _settle(books: Books, event: dict[str, Any]) -> str:
    return settlement.apply(books, fact(event)).status


def _bought(books: Books) -> Payment:
    payment = pending(books)
    _settle(books, builders.completed(payment))
    return payment


def test_half_of_what_was_written_off_comes_back_as_no_units(books: Books) -> None:
    """All units were used and given up; half of the money comes back: half is given up no longer,
    and no account owes or has anything.
    """
    payment = _bought(books)
    debits.debit(Meter(books, ""), "alice", 100)
    _settle(books, builders.dispute(payment, "funds_withdrawn", "needs_response", -999))
    _settle(books, builders.dispute(payment, "funds_reinstated", "needs_response", -999, 500))
    balance = debits.read(books, "alice")
    assert (balance.remaining, balance.debt, balance.used) == (0, 0, 100)
    laws.check(books.store)
    laws.check_what_was_given_up(books.store)


class Twice:
    """Stripe fails at first, and while it does another request with the same key meets the same
    fault, and goes on.
    """

    def __init__(self, books: Books, shop: Shop) -> None:
        """It was never asked for."""
        self.books, self.shop = books, shop
        self.keys: list[str] = []
        self.other: dict[str, Any] = {}

    def create_session(self, params: Mapping[str, Any], idempotency_key: str) -> dict[str, Any]:
        """See the gateway."""
        del params
        self.keys.append(idempotency_key)
        if len(self.keys) == 1:
            self.other = self.buy()
        if idempotency_key.endswith("-0"):
            raise StripeServerError("500")
        return {"id": f"cs_{idempotency_key}", "url": "https://pay/1", "expires_at": 1767409445}

    def buy(self) -> dict[str, Any]:
        """One request."""
        return checkout.create(
            self.books,
            self,  # type: ignore[arg-type]
            self.shop,
            "alice",
            catalogue()["starter"],
            key="k",
        )


def test_two_concurrent_requests_that_meet_one_error_of_stripe_go_on_under_one_key(
    books: Books,
) -> None:
    """The later one finds that the other has begun another attempt: one session, and one answer for
    both.
    """
    stripe = Twice(books, replace(SHOP))
    assert stripe.buy() == stripe.other
    assert len({key for key in stripe.keys if not key.endswith("-0")}) == 1


@pytest.mark.parametrize(
    "currency",
    [
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    ],
)
def test_an_amount_of_a_currency_without_decimals_is_whole(currency: str) -> None:
    """https://docs.stripe.com/currencies#zero-decimal."""
    assert decimal_string(1500, currency) == "1500"


@pytest.mark.parametrize(
    "user_id", ["alice", "?", ">>>", "~~~~", "ÿ", "日本", "a.b", "a\nb", "😀" * 255]
)
def test_a_hold_of_any_user_is_found_by_its_id(books: Books, user_id: str) -> None:
    books.store.commit(builders.balance(user_id, 0))
    row = books.store.tables["quotas"][user_id, "quota"]  # type: ignore[attr-defined]
    row |= {"total": 10, "remaining": 10}
    meter = Meter(books, "")
    placed = placing.place(meter, user_id, 4, 60)
    captured = hold.ClosedHold(placed.hold_id, "captured", units=3, released=1)
    assert closing.capture(meter, placed.hold_id, 3) == captured
    assert debits.read(books, user_id).remaining == 7
