"""What a customer decides, with every answer that Stripe can give about the saved cards."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from billing.agreements import consent
from billing.agreements.agreement import Agreement
from billing.agreements.card import Card
from billing.agreements.consent import Terms
from billing.agreements.rows import change, read
from billing.books import Books
from billing.charging.charge import Charge
from billing.clock import epoch, stamp
from billing.errors import BillingError, StripeRefusedError
from billing.payments.plans import catalogue
from billing.storage.keys import user_key
from billing.storage.writes import Write
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from support import builders
from support.fakes.memory_store import Meddled

REFUSAL: dict[str, Any] = {"http_status": 404}
TERMS = Terms(catalogue()["starter"], 50, 3)


class Cards:
    """The cards of one customer at Stripe, and the trouble that it has with them."""

    def __init__(self) -> None:
        """One card."""
        self.saved = [_card("pm_1", 1)]
        self.listing: Exception | None = None
        self.forgetting: dict[str, Exception] = {}
        self.forgotten: list[str] = []

    def cards_of(self, customer: str) -> list[dict[str, Any]]:
        """As Stripe lists them."""
        assert customer == "cus_1"
        if self.listing:
            raise self.listing
        return self.saved

    def forget_card(self, card: str) -> None:
        """Detach one."""
        if error := self.forgetting.get(card):
            raise error
        self.forgotten.append(card)


def _card(name: str, created: int | None, **members: Any) -> dict[str, Any]:
    shown = {"brand": "visa", "last4": "4242", "exp_month": 4, "exp_year": 2031, **members}
    return {"id": name, "created": created, "card": shown}


@pytest.fixture
def cards() -> Any:
    """One card."""
    return Cards()


@pytest.fixture
def store() -> Meddled:
    """Alice has a customer at Stripe."""
    found = Meddled()
    found.commit(Write("payments", (user_key("alice"), "customer"), set={"customer": "cus_1"}))
    return found


@pytest.fixture
def books(store: Meddled) -> Books:
    """The test stack's."""
    return builders.books_on(store)


def _code(act: Callable[[], object]) -> str:
    with pytest.raises(BillingError) as refused:
        act()
    return refused.value.code


def test_what_is_agreed_to_is_kept_as_it_was_and_looked_at_at_once(
    books: Books, cards: Any
) -> None:
    """With the card that was saved last."""
    cards.saved = [_card("pm_1", 1), _card("pm_3", 3, fingerprint="f"), _card("pm_2", None)]
    consent.agree(books, cards, "alice", TERMS)
    plan, now = catalogue()["starter"], books.clock()
    found = read(books, "alice")
    assert found.agreed_at[:19] == stamp(now)[:19]
    assert found == Agreement(
        user_id="alice",
        on=True,
        plan="starter",
        quota=plan.quota,
        amount_minor=plan.amount_minor,
        currency=plan.currency,
        when_below=50,
        max_per_month=3,
        agreed_at=found.agreed_at,
        customer="cus_1",
        card=Card("pm_3", "visa", "4242", 4, 2031, "f"),
        due=epoch(now),
        version=1,
    )


@pytest.mark.parametrize("why", ["no card", "no such customer", "no customer"])
def test_without_a_saved_card_nothing_is_agreed_to(
    books: Books, store: Meddled, cards: Any, why: str
) -> None:
    cards.saved = []
    if why == "no such customer":
        cards.listing = StripeNotFoundError("customer", REFUSAL)
    if why == "no customer":
        store.tables["payments"].clear()
    assert _code(lambda: consent.agree(books, cards, "alice", TERMS)) == "no_saved_card"
    assert not read(books, "alice").on


def test_trouble_of_stripes_is_told_as_such(books: Books, cards: Any) -> None:
    """Both ways, and nothing is decided."""
    cards.listing = StripeServerError()
    assert _code(lambda: consent.agree(books, cards, "alice", TERMS)) == "stripe_unavailable"
    off = lambda: consent.switch_off(books, cards, "alice", forget_card=True)  # noqa: E731
    assert _code(off) == "stripe_unavailable"
    cards.listing, cards.forgetting = None, {"pm_1": StripeServerError()}
    assert _code(off) == "stripe_unavailable"
    assert read(books, "alice").version == 0


@pytest.mark.parametrize(
    "error", [StripeNotFoundError("card", REFUSAL), StripeRefusedError(REFUSAL)], ids=repr
)
def test_a_card_that_is_detached_already_is_forgotten_with_the_others(
    books: Books, cards: Any, error: Exception
) -> None:
    cards.saved = [_card("pm_1", 1), _card("pm_2", 2)]
    consent.agree(books, cards, "alice", TERMS)
    cards.forgetting = {"pm_1": error}
    assert consent.switch_off(books, cards, "alice", forget_card=True) == {"on": False}
    assert cards.forgotten == ["pm_2"]
    assert read(books, "alice").card == Card()


def test_the_cards_of_a_customer_that_stripe_has_no_more_are_forgotten(
    books: Books, cards: Any
) -> None:
    consent.agree(books, cards, "alice", TERMS)
    cards.listing = StripeNotFoundError("customer", REFUSAL)
    consent.switch_off(books, cards, "alice", forget_card=True)
    assert (read(books, "alice").on, read(books, "alice").card) == (False, Card())


def test_a_decision_meets_a_concurrent_change_and_keeps_it(
    books: Books, store: Meddled, cards: Any
) -> None:
    """What the charge of the same moment wrote stays."""
    consent.agree(books, cards, "alice", TERMS)
    before = read(books, "alice")
    store.first = lambda: books.store.commit(
        change(before, replace(before, used=1, month="2026-01"))
    )
    consent.switch_off(books, cards, "alice", forget_card=False)
    found = read(books, "alice")
    assert (found.on, found.used, found.month, found.card.id) == (False, 1, "2026-01", "pm_1")


@pytest.mark.parametrize(
    ("charge", "due"),
    [
        (None, 0),
        (Charge(payment_id="pay_1", due=99), "now"),
        (Charge(payment_id="pay_1", state="asked", due=99), 77),
        (Charge(payment_id="pay_1", state="processing", due=99), 77),
    ],
)
def test_switched_off_only_an_open_charge_is_still_looked_at(
    books: Books, cards: Any, charge: Charge | None, due: int | str
) -> None:
    """One that waits is called off at once, one whose outcome is unknown at its time."""
    consent.agree(books, cards, "alice", TERMS)
    before = read(books, "alice")
    books.store.commit(change(before, replace(before, charge=charge, due=77)))
    consent.switch_off(books, cards, "alice", forget_card=False)
    found = read(books, "alice")
    assert found.due == (epoch(books.clock()) if due == "now" else due)
    assert (found.charge, found.card.id) == (charge, "pm_1")


def test_agreed_to_again_a_charge_keeps_its_time(books: Books, cards: Any) -> None:
    """And a pause ends."""
    consent.agree(books, cards, "alice", TERMS)
    before = read(books, "alice")
    charge = Charge(payment_id="pay_1", state="asked", due=99)
    books.store.commit(change(before, replace(before, charge=charge, due=77, paused="refused")))
    consent.agree(books, cards, "alice", TERMS)
    assert (read(books, "alice").due, read(books, "alice").paused) == (77, "")
