"""Details of settling and buying that only an account at the edge shows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from billing import cursors
from billing.books import Books
from billing.clock import epoch
from billing.money import decimal_string
from billing.payments import checkout, confirmation, queries, settlement
from billing.payments.checkout import Shop
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.quota import debits, history, holds, spending
from billing.quota.spending import Meter
from billing.storage.keys import user_key
from billing.stripe_api.client import StripeServerError
from support import builders, laws
from support.builders import SHOP, START, Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe


@pytest.fixture
def clock() -> Clock:
    """Advanced by the tests."""
    return Clock()


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold. What is used before money goes back is written off."""
    spending._seen.clear()
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


def test_an_events_mark_says_what_it_was_and_did(books: Books) -> None:
    """It shows later what became of a delivery."""
    payment = pending(books)
    event = builders.completed(payment, "evt_1")
    _settle(books, event)
    mark = books.store.get("events", (payment.payment_id, "evt_1")) or {}
    assert mark.pop("booked_at").startswith("2026-01-02T03:04:05")
    told = {"type": "checkout.session.completed", "units": 100, "created": event["created"]}
    assert mark == {"subject": payment.payment_id, "fact_id": "evt_1", **told}


@pytest.mark.parametrize(
    "user_id", ["alice", "?", ">>>", "~~~~", "ÿ", "日本", "a.b", "a\nb", "😀" * 255]
)
def test_a_hold_of_any_user_is_found_by_its_id(books: Books, user_id: str) -> None:
    books.store.commit(builders.balance(user_id, 0))
    row = books.store.tables["quotas"][user_id, "quota"]  # type: ignore[attr-defined]
    row |= {"total": 10, "remaining": 10}
    meter = Meter(books, "")
    placed = holds.place(meter, user_id, 4, 60)
    captured = holds.ClosedHold(placed.hold_id, "captured", units=3, released=1)
    assert holds.capture(meter, placed.hold_id, 3) == captured
    assert debits.read(books, user_id).remaining == 7


def test_an_account_whose_row_says_that_nothing_was_used_begins_its_day(books: Books) -> None:
    _bought(books)
    row = books.store.tables["quotas"]["alice", "quota"]  # type: ignore[attr-defined]
    row |= {"used": 0, "itemised": 0}
    assert debits.debit(Meter(books, ""), "alice", 1).remaining == 99


def test_a_place_between_two_entries_leads_on_from_there(books: Books, clock: Clock) -> None:
    """The entry that a cursor names may be gone after a restore."""
    for _ in range(3):
        clock.advance(hours=1)
        _bought(books)
    first = history.entries(books, "alice", 1, "")
    members = dict.fromkeys(("entry_id", "booked_at", "balance", "last"), lambda _: True)
    place = cursors.opened(first["next_cursor"], members) | {"entry_id": "gone", "last": "long ago"}
    newest = first["entries"][0]["booked_at"]
    between = cursors.sealed(place | {"booked_at": newest[:-7] + "000001Z"})
    assert [
        row["balance_after"] for row in history.entries(books, "alice", 10, between)["entries"]
    ] == [200, 100]


def test_a_session_that_is_no_longer_ours_at_stripe_confirms_nothing(books: Books) -> None:
    """Its metadata was edited in Stripe's dashboard: the buyer sees the payment as we know
    it.
    """
    payment, stripe = pending(books), Stripe()
    stripe.sell(payment, epoch(START), metadata={})
    seen = confirmation.confirm(books, stripe, "alice", payment.payment_id)  # type: ignore[arg-type]
    assert (seen.payment_id, seen.status) == (payment.payment_id, "pending")


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


def test_what_was_written_off_before_a_restore_is_known_again(books: Books) -> None:
    """The ledger has it; the next part of the refund is taken back exactly, and
    given up as well.
    """
    payment = _bought(books)
    debits.debit(Meter(books, ""), "alice", 100)
    key = (user_key("alice"), payment.payment_id)
    before = dict(books.store.tables["payments"][key])  # type: ignore[attr-defined]
    _settle(books, builders.refunded(payment, 500))
    books.store.tables["payments"][key] = before  # type: ignore[attr-defined]
    _settle(books, builders.refunded(payment, 700))
    found = queries.find(books, "alice", payment.payment_id)
    assert (found.units_clawed_back, found.units_written_off) == (70, 70)
    laws.check(books.store)


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
