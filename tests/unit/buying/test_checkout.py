from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from billing.books import Books
from billing.buying import checkout, sessions
from billing.errors import BillingError, Item, OutcomeUnknownError
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.settlement import settlement
from billing.spending import debits
from billing.storage.keys import user_key
from billing.storage.writes import Table, Write
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from support import builders
from support.builders import SHOP, fact
from support.fakes.memory_store import MemoryStore


class Stripe:
    """Creates sessions as Stripe does: one a key, and a fault under a key is replayed under it."""

    def __init__(self, store: MemoryStore) -> None:
        """``store`` is looked at when we are asked."""
        self.store = store
        self.made: dict[str, dict[str, Any]] = {}
        self.faults: set[str] = set()
        self.fails_next = 0
        self.turns_away_next = 0
        self.loses_next = 0
        self.params: list[Mapping[str, Any]] = []
        self.recorded_before: list[bool] = []
        self.meanwhile: list[Callable[[], object]] = []
        self.closed: list[str] = []
        self.closes_not: Exception | None = None

    def create_session(self, params: Mapping[str, Any], idempotency_key: str) -> dict[str, Any]:
        """See the gateway."""
        self.params.append(params)
        owner = user_key(params["metadata"]["user_id"])
        self.recorded_before.append(
            self.store.get("payments", (owner, params["metadata"]["payment_id"])) is not None
        )
        if self.turns_away_next:  # before anything is looked at, and not kept
            self.turns_away_next -= 1
            raise StripeServerError("503")
        if self.fails_next:
            self.fails_next -= 1
            self.faults.add(idempotency_key)
        if idempotency_key in self.faults:
            raise StripeServerError("500")
        number = len(self.made) + 1
        made = self.made.setdefault(
            idempotency_key,
            {"id": f"cs_{number}", "url": f"https://pay/{number}", "expires_at": 1767409445},
        )
        if self.loses_next:
            self.loses_next -= 1
            raise BillingError("stripe_unavailable", "the answer was lost")
        if self.meanwhile:
            self.meanwhile.pop()()
        return made

    def expire_session(self, session_id: str) -> None:
        """See the gateway."""
        self.closed.append(session_id)
        if self.closes_not:
            raise self.closes_not


class RoughStore(MemoryStore):
    """``loses`` what a checkout notes of its session: not carried out, with an unknown outcome."""

    loses = False
    meanwhile: Callable[[], object] | None = None
    """What another request does between a look and what follows from it."""

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """See the store."""
        found, other = super().get(table, key), self.meanwhile
        if other and key[1].startswith("pay_"):
            self.meanwhile = None
            other()
        return found

    def commit(self, *writes: Write) -> None:
        """See the store."""
        if self.loses and any("url" in write.set for write in writes):
            raise OutcomeUnknownError("no answer in time")
        super().commit(*writes)


@pytest.fixture
def clock() -> builders.Clock:
    """Advanced by the tests."""
    return builders.Clock()


@pytest.fixture
def books(clock: builders.Clock) -> Books:
    """Nothing was sold."""
    return builders.books_on(RoughStore(), clock=clock)


@pytest.fixture
def stripe(books: Books) -> Stripe:
    """Works."""
    return Stripe(books.store)  # type: ignore[arg-type]


def _buy(books: Books, stripe: Stripe, key: str = "", plan: str = "starter") -> dict[str, Any]:
    return checkout.create(books, stripe, SHOP, "alice", catalogue()[plan], key=key)  # type: ignore[arg-type]


def test_a_payment_is_recorded_before_stripe_is_asked(books: Books, stripe: Stripe) -> None:
    """A session without a record could be paid."""
    _buy(books, stripe)
    assert stripe.recorded_before == [True]


def test_the_session_and_its_payment_intent_carry_our_metadata(
    books: Books, stripe: Stripe
) -> None:
    """Stripe does not copy it; declines are reported by the payment intent."""
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
    stripe.fails_next = sessions.FAULTS_MAX
    with pytest.raises(BillingError, match="stripe_unavailable"):
        _buy(books, stripe, "k")
    assert _buy(books, stripe, "k")["session_id"] == "cs_1"


def _unheard(books: Books, stripe: Stripe, key: str = "k") -> Payment:
    """A payment whose session was made and could not be noted: its buyer was only asked to
    ask again.
    """
    books.store.loses = True  # type: ignore[attr-defined]
    with pytest.raises(OutcomeUnknownError):
        _buy(books, stripe, key)
    books.store.loses = False  # type: ignore[attr-defined]
    (payment,) = _payments(books)
    return replace(payment, session_id="cs_1")


def _payments(books: Books) -> list[Payment]:
    rows = books.store.tables["payments"].values()  # type: ignore[attr-defined]
    return [Payment.from_item(row) for row in rows if "phase" in row]


def _overtaken(books: Books, stripe: Stripe) -> tuple[dict[str, Any], dict[str, Any]]:
    """Stripe is slow to answer one request; another under its key is turned away, asks under the
    next key, and is answered first.
    """
    first: list[dict[str, Any]] = []

    def other() -> None:
        stripe.turns_away_next = 1
        first.append(_buy(books, stripe, "k"))

    stripe.meanwhile.append(other)
    return _buy(books, stripe, "k"), first[0]


def test_two_concurrent_checkouts_under_one_key_answer_one_session(
    books: Books, stripe: Stripe
) -> None:
    """The session that was noted first stays, and the buyer who pays it is credited; the other one
    is closed.
    """
    late, first = _overtaken(books, stripe)
    assert late == first == _buy(books, stripe, "k")
    assert (first["session_id"], first["url"], stripe.closed) == ("cs_2", "https://pay/2", ["cs_1"])
    (payment,) = _payments(books)
    assert settlement.apply(books, fact(builders.completed(payment))).status == "settled"
    assert debits.read(books, "alice").remaining == 100


@pytest.mark.parametrize(
    "why", [BillingError("stripe_unavailable", ""), StripeServerError(), StripeNotFoundError()]
)
def test_a_session_that_cannot_be_closed_changes_no_answer(
    books: Books, stripe: Stripe, why: Exception
) -> None:
    """Its address was never answered, so it expires by itself."""
    stripe.closes_not = why
    late, first = _overtaken(books, stripe)
    assert late == first
    assert stripe.closed == ["cs_1"]


def test_the_expiry_of_a_closed_session_is_not_the_payments(books: Books, stripe: Stripe) -> None:
    """Stripe reports it. The buyer's session can be paid as before."""
    _, first = _overtaken(books, stripe)
    (payment,) = _payments(books)
    settlement.apply(books, fact(builders.expired(replace(payment, session_id="cs_1"))))
    (payment,) = _payments(books)
    assert (payment.session_id, payment.status) == (first["session_id"], "pending")


def test_a_closed_session_that_was_paid_all_the_same_is_not_lost(
    books: Books, stripe: Stripe
) -> None:
    """It waits while the other might be paid as well, and is credited when that one has expired."""
    _overtaken(books, stripe)
    (payment,) = _payments(books)
    paid = fact(builders.completed(replace(payment, session_id="cs_1")))
    assert settlement.apply(books, paid).status == "parked"
    settlement.apply(books, fact(builders.expired(payment)))
    assert settlement.apply(books, paid).status == "settled"
    assert debits.read(books, "alice").remaining == 100


def test_a_late_session_is_not_answered_in_place_of_one_without_a_url(
    books: Books, stripe: Stripe
) -> None:
    """What an event noted has no address: the caller asks again, and gets a purchase that can be
    paid.
    """

    def event() -> None:
        (payment,) = _payments(books)
        settlement.apply(books, fact(builders.expired(replace(payment, session_id="cs_other"))))

    stripe.meanwhile.append(event)
    with pytest.raises(OutcomeUnknownError):
        _buy(books, stripe, "k")
    assert stripe.closed == ["cs_1"]
    again = _buy(books, stripe, "k")
    assert (again["session_id"], again["url"]) == ("cs_2", "https://pay/2")


def test_a_session_that_expired_unanswered_is_replaced_by_a_new_purchase(
    books: Books, stripe: Stripe
) -> None:
    """The expiry names the session and no address: no empty one is answered, and no dead one."""
    before = _unheard(books, stripe)
    settlement.apply(books, fact(builders.expired(before)))
    again = _buy(books, stripe, "k")
    assert again == _buy(books, stripe, "k")
    assert (again["session_id"], again["url"], again["expires_at"]) == (
        "cs_2",
        "https://pay/2",
        "2026-01-03T03:04:05.000000Z",
    )
    assert again["payment_id"] != before.payment_id
    assert sorted(payment.status for payment in _payments(books)) == ["expired", "pending"]


def test_stripe_is_asked_under_one_key_for_no_longer_than_it_remembers_it(
    books: Books, stripe: Stripe, clock: builders.Clock
) -> None:
    """Later it would make a second session for one payment: a new payment takes its place."""
    before = _unheard(books, stripe)
    clock.advance(hours=22, minutes=59)
    stripe.loses_next = 1
    with pytest.raises(BillingError, match="stripe_unavailable"):
        _buy(books, stripe, "k")
    assert len(stripe.made) == 1
    clock.advance(minutes=1)
    again = _buy(books, stripe, "k")
    assert again["payment_id"] != before.payment_id
    assert list(stripe.made) == [f"{before.payment_id}-0", f"{again['payment_id']}-0"]


def test_two_concurrent_late_repeats_get_one_new_payment(
    books: Books, stripe: Stripe, clock: builders.Clock
) -> None:
    """The first request replaces the old one; the concurrent request finds the new one."""
    _unheard(books, stripe)
    clock.advance(hours=23)
    first: list[dict[str, Any]] = []
    books.store.meanwhile = lambda: first.append(_buy(books, stripe, "k"))  # type: ignore[attr-defined]
    assert [_buy(books, stripe, "k")] == first
    assert len(_payments(books)) == 2


def test_an_answer_that_was_given_is_replayed_whatever_became_of_it(
    books: Books, stripe: Stripe, clock: builders.Clock
) -> None:
    """Expired, paid, or long ago: the first answer, and Stripe is not asked."""
    first, second = _buy(books, stripe, "k"), _buy(books, stripe, "l")
    for payment in _payments(books):
        make = builders.expired if payment.payment_id == first["payment_id"] else builders.completed
        settlement.apply(books, fact(make(payment)))
    clock.advance(days=400)
    assert (_buy(books, stripe, "k"), _buy(books, stripe, "l")) == (first, second)
    assert len(stripe.params) == 2


@pytest.mark.parametrize(
    "make", [builders.completed, builders.completed_unpaid, builders.async_failed]
)
@pytest.mark.parametrize("hours", [0, 30])
def test_a_paid_purchase_is_not_sold_again_under_its_key(
    books: Books,
    stripe: Stripe,
    clock: builders.Clock,
    make: Callable[[Payment], dict[str, Any]],
    hours: int,
) -> None:
    """As after a restore: there is no address to answer with, and a second purchase was not asked
    for.
    """
    before = _unheard(books, stripe)
    settlement.apply(books, fact(make(before)))
    clock.advance(hours=hours)
    with pytest.raises(BillingError, match=f"idempotency_conflict: .*{before.payment_id}"):
        _buy(books, stripe, "k")
    assert len(stripe.made) == len(_payments(books)) == 1


def test_a_repeat_pays_the_price_that_the_payment_was_recorded_at(
    books: Books, stripe: Stripe
) -> None:
    """A catalogue that has changed in between changes neither the price nor the units; settlement
    would park it.
    """
    before = _unheard(books, stripe)
    dearer = replace(catalogue()["starter"], amount_minor=1999, currency="eur", quota=50)
    answer = checkout.create(books, stripe, SHOP, "alice", dearer, key="k")  # type: ignore[arg-type]
    assert (answer["payment_id"], answer["amount_minor"], answer["currency"], answer["quota"]) == (
        before.payment_id,
        999,
        "usd",
        100,
    )
    price = stripe.params[-1]["line_items"][0]["price_data"]
    assert (price["unit_amount"], price["currency"]) == (999, "usd")
    assert stripe.params[-1]["metadata"]["quota"] == "100"


def test_stripe_converts_no_price(books: Books, stripe: Stripe) -> None:
    """With adaptive pricing, a session's amount and currency may be the buyer's and not the plan's.

    https://docs.stripe.com/payments/currencies/localize-prices/adaptive-pricing
    """
    _buy(books, stripe)
    assert stripe.params[0]["adaptive_pricing"] == {"enabled": False}


def test_a_checkout_costs_two_calls_to_the_database_and_one_to_stripe(
    books: Books, stripe: Stripe
) -> None:
    """The payment before, the session after; the third is this test's own look.

    A replay: the refused row, and the payment.
    """
    _buy(books, stripe, "k")
    assert (books.store.calls, len(stripe.params)) == (3, 1)  # type: ignore[attr-defined]
    _buy(books, stripe, "k")
    assert (books.store.calls, len(stripe.params)) == (5, 1)  # type: ignore[attr-defined]
