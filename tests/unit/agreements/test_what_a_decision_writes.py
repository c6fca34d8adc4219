"""What a customer's decision answers and writes, whole, with every state of an open charge."""

from dataclasses import replace
from typing import Any, Final

import pytest
from billing.agreements import consent
from billing.agreements.agreement import Agreement
from billing.agreements.card import Card
from billing.agreements.consent import Terms
from billing.agreements.rows import change, read
from billing.books import Books
from billing.charging.charge import Charge
from billing.errors import BillingError, ConditionFailedError, NotDoneError, OutcomeUnknownError
from billing.payments.plan import Plan
from billing.payments.plans import catalogue
from billing.storage.keys import user_key
from billing.storage.writes import Write
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from support import builders
from support.fakes.memory_store import Meddled, MemoryStore

NOW: Final = 1_767_323_045
PLAN: Final = Plan(
    id="gold",
    name="Gold",
    description="Gold.",
    amount_minor=1234,
    currency="eur",
    quota=70,
    expires_after_days=30,
)
TERMS: Final = Terms(PLAN, 40, 30)
ANSWER: Final[dict[str, Any]] = {
    "on": True,
    "plan": "gold",
    "when_below": 40,
    "max_per_month": 30,
    "used_this_month": 0,
    "card": {"brand": "visa", "last4": "4242", "exp_month": 4, "exp_year": 2031},
    "agreed_at": "2026-01-02T03:04:05.000001Z",
    "paused": None,
}
OFF: Final[dict[str, Any]] = {
    "on": False,
    "plan": None,
    "when_below": None,
    "max_per_month": None,
    "used_this_month": 0,
    "card": None,
    "agreed_at": None,
    "paused": None,
}


class Cards:
    """The cards of one customer at Stripe."""

    def __init__(self) -> None:
        """One card."""
        self.saved: Any = [_card("pm_1", 1)]
        self.asked: list[tuple[str, str]] = []
        self.detaching: dict[str, Exception] = {}

    def cards_of(self, customer: str) -> list[dict[str, Any]]:
        """As Stripe lists them."""
        self.asked.append(("list", customer))
        if isinstance(self.saved, Exception):
            raise self.saved
        found: list[dict[str, Any]] = self.saved
        return found

    def forget_card(self, card: str) -> None:
        """Detach one."""
        self.asked.append(("forget", card))
        if card in self.detaching:
            raise self.detaching[card]


def _card(name: str, created: int | str | None, print_: str | None = "f1") -> dict[str, Any]:
    shown = {"brand": "visa", "last4": "4242", "exp_month": 4, "exp_year": 2031}
    return {"id": name, "created": created, "card": {**shown, "fingerprint": print_}}


@pytest.fixture
def cards() -> Any:
    """One card."""
    return Cards()


def _begin(store: MemoryStore) -> Books:
    store.commit(Write("payments", (user_key("alice"), "customer"), set={"customer": "cus_1"}))
    return builders.books_on(store)


@pytest.fixture
def books() -> Books:
    """Alice has a customer at Stripe."""
    return _begin(MemoryStore())


def _row(books: Books, name: str) -> dict[str, Any] | None:
    return books.store.get("quotas", ("alice", name))


def _open(books: Books, state: Any, **members: Any) -> Agreement:
    """A charge is open, due at 99, in a row that is due at 77."""
    before = read(books, "alice")
    charge = Charge(payment_id="pay_1", state=state, attempt=1, due=99)
    books.store.commit(change(before, replace(before, charge=charge, due=77, **members)))
    return read(books, "alice")


def test_what_was_never_asked_for_is_shown_as_off(books: Books) -> None:
    assert consent.show(books, "alice") == OFF


def test_agreeing_answers_and_stores_everything_that_was_agreed_to(
    books: Books, cards: Any
) -> None:
    """And lets every debit know where a charge begins."""
    assert consent.agree(books, cards, "alice", TERMS) == ANSWER
    assert consent.show(books, "alice") == ANSWER
    assert consent.show(books, "bob") == OFF
    assert cards.asked == [("list", "cus_1")]
    assert _row(books, "top_up") == {
        "user_id": "alice",
        "item": "top_up",
        "on": True,
        "plan": "gold",
        "quota": 70,
        "amount_minor": 1234,
        "currency": "eur",
        "expires_after_days": 30,
        "when_below": 40,
        "max_per_month": 30,
        "agreed_at": "2026-01-02T03:04:05.000001Z",
        "customer": "cus_1",
        "card": {
            "id": "pm_1",
            "brand": "visa",
            "last4": "4242",
            "exp_month": 4,
            "exp_year": 2031,
            "print": "f1",
        },
        "open": "top_up",
        "expires_at": NOW,
        "version": 1,
    }
    assert _row(books, "quota") == {"user_id": "alice", "item": "quota", "top_up_at": 40}


def test_switching_off_keeps_what_was_agreed_and_takes_the_threshold_away(
    books: Books, cards: Any
) -> None:
    """The row leaves the index; the card and the month's count stay."""
    consent.agree(books, cards, "alice", TERMS)
    before = read(books, "alice")
    books.store.commit(change(before, replace(before, used=2, month="2026-01", paused="refused")))
    agreed = _row(books, "top_up") or {}
    assert consent.switch_off(books, cards, "alice", forget_card=False) == {"on": False}
    gone = {"open", "expires_at"}
    kept = {name: value for name, value in agreed.items() if name not in gone}
    assert _row(books, "top_up") == {**kept, "on": False, "paused": "", "version": 3}
    assert _row(books, "quota") == {"user_id": "alice", "item": "quota"}
    shown = {**ANSWER, "on": False, "used_this_month": 2}
    assert consent.show(books, "alice") == shown
    assert cards.asked == [("list", "cus_1")]


def test_a_pause_is_shown_with_its_reason_until_it_is_agreed_to_again(
    books: Books, cards: Any
) -> None:
    consent.agree(books, cards, "alice", TERMS)
    before = read(books, "alice")
    books.store.commit(change(before, replace(before, paused="card_declined")))
    assert consent.show(books, "alice") == {**ANSWER, "paused": "card_declined"}
    assert consent.agree(books, cards, "alice", TERMS)["paused"] is None


def test_last_months_charges_are_not_shown_as_this_months(books: Books, cards: Any) -> None:
    """Neither by looking nor by agreeing again, and they are kept."""
    consent.agree(books, cards, "alice", TERMS)
    before = read(books, "alice")
    books.store.commit(change(before, replace(before, used=2, month="2025-12")))
    assert consent.show(books, "alice")["used_this_month"] == 0
    assert consent.agree(books, cards, "alice", TERMS)["used_this_month"] == 0
    assert (read(books, "alice").used, read(books, "alice").month) == (2, "2025-12")


OTHERS: Final[list[dict[str, Any]]] = [
    {"id": "silver"},
    {"quota": 71},
    {"amount_minor": 1235},
    {"currency": "usd"},
    {"expires_after_days": 31},
]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_a_charge_that_waits_is_due_at_once_for_other_terms(
    books: Books, cards: Any, other: dict[str, Any]
) -> None:
    """Its time was that of the terms before."""
    consent.agree(books, cards, "alice", TERMS)
    before = _open(books, "waiting")
    consent.agree(books, cards, "alice", Terms(replace(PLAN, **other), 40, 30))
    found = read(books, "alice")
    assert before.charge is not None
    assert found.charge == replace(before.charge, due=NOW)
    assert found.due == NOW


@pytest.mark.parametrize("terms", [TERMS, Terms(PLAN, 41, 30), Terms(PLAN, 40, 29)])
def test_a_charge_that_waits_keeps_its_time_for_the_same_plan(
    books: Books, cards: Any, terms: Terms
) -> None:
    """Another threshold or limit is no reason to try a declined card again."""
    consent.agree(books, cards, "alice", TERMS)
    before = _open(books, "waiting")
    consent.agree(books, cards, "alice", terms)
    found = read(books, "alice")
    assert (found.charge, found.due) == (before.charge, 77)


@pytest.mark.parametrize("state", ["asked", "processing"])
@pytest.mark.parametrize("other", [{"quota": 71}, {}], ids=str)
def test_a_charge_whose_outcome_is_open_keeps_its_time_whatever_is_agreed_to(
    books: Books, cards: Any, state: str, other: dict[str, Any]
) -> None:
    consent.agree(books, cards, "alice", TERMS)
    before = _open(books, state)
    cards.saved = [_card("pm_2", 2, "f2")]
    consent.agree(books, cards, "alice", Terms(replace(PLAN, **other), 40, 30))
    found = read(books, "alice")
    assert (found.charge, found.due, found.card.id) == (before.charge, 77, "pm_2")


@pytest.mark.parametrize(
    ("print_", "due"), [("f1", 77), ("f2", NOW), (None, NOW)], ids=["same", "other", "unknown"]
)
def test_a_charge_that_waits_is_due_at_once_for_another_card_alone(
    books: Books, cards: Any, print_: str | None, due: int
) -> None:
    """The same card that is saved again is the same: its print says so."""
    consent.agree(books, cards, "alice", TERMS)
    _open(books, "waiting")
    cards.saved = [_card("pm_2", 2, print_)]
    consent.agree(books, cards, "alice", TERMS)
    found = read(books, "alice")
    assert (found.due, found.card) == (due, Card("pm_2", "visa", "4242", 4, 2031, print_ or ""))


@pytest.mark.parametrize(
    ("saved", "newest"),
    [
        ([("pm_1", 5), ("pm_2", 9), ("pm_3", 7)], "pm_2"),
        ([("pm_1", None), ("pm_2", 1), ("pm_3", None)], "pm_2"),
        ([("pm_1", "9"), ("pm_2", "10"), ("pm_3", "1")], "pm_2"),
        ([("pm_1", None), ("pm_2", None)], "pm_1"),
        ([("pm_1", 0), ("pm_2", None)], "pm_1"),
        ([("pm_1", 1), ("pm_2", None)], "pm_1"),
        ([("pm_1", -1), ("pm_2", None)], "pm_2"),
    ],
)
def test_the_card_that_was_saved_last_is_charged(
    books: Books, cards: Any, saved: list[tuple[str, Any]], newest: str
) -> None:
    """In whatever order Stripe lists them; of two of one second the first in the list."""
    cards.saved = [_card(name, created) for name, created in saved]
    consent.agree(books, cards, "alice", TERMS)
    assert read(books, "alice").card.id == newest


def test_a_user_without_a_customer_asks_stripe_nothing(books: Books, cards: Any) -> None:
    """Neither to agree nor to forget."""
    with pytest.raises(BillingError) as refused:
        consent.agree(books, cards, "bob", TERMS)
    assert (refused.value.code, refused.value.status) == ("no_saved_card", 409)
    assert consent.switch_off(books, cards, "bob", forget_card=True) == {"on": False}
    assert cards.asked == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_of_three_cards_each_is_forgotten_though_one_is_gone_already(
    books: Books, cards: Any, number: int
) -> None:
    names = ["pm_1", "pm_2", "pm_3"]
    cards.saved = [_card(name, 1) for name in names]
    cards.detaching = {names[number]: StripeNotFoundError("card")}
    consent.switch_off(books, cards, "alice", forget_card=True)
    assert cards.asked == [("list", "cus_1"), *(("forget", name) for name in names)]


def test_a_card_that_could_not_be_forgotten_switches_nothing_off(books: Books, cards: Any) -> None:
    """It is asked for again: the answer says so, and the charge of the next sweep is still his."""
    consent.agree(books, cards, "alice", TERMS)
    cards.detaching = {"pm_1": StripeServerError()}
    with pytest.raises(BillingError) as refused:
        consent.switch_off(books, cards, "alice", forget_card=True)
    assert (refused.value.code, refused.value.status) == ("stripe_unavailable", 502)
    assert read(books, "alice").on


def test_a_fault_of_ours_while_agreeing_is_no_trouble_of_stripes(books: Books, cards: Any) -> None:
    """It is an internal error, and fires its alarm."""
    cards.saved = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        consent.agree(books, cards, "alice", TERMS)


def test_a_fault_of_ours_while_listing_what_to_forget_is_none_of_stripes(
    books: Books, cards: Any
) -> None:
    cards.saved = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        consent.switch_off(books, cards, "alice", forget_card=True)


def test_a_fault_of_ours_while_forgetting_is_no_trouble_of_stripes(
    books: Books, cards: Any
) -> None:
    cards.detaching = {"pm_1": ZeroDivisionError()}
    with pytest.raises(ZeroDivisionError):
        consent.switch_off(books, cards, "alice", forget_card=True)


@pytest.mark.parametrize("forget_card", [True, False])
@pytest.mark.parametrize(("state", "due"), [("waiting", NOW), ("asked", 77), ("processing", 77)])
def test_switched_off_an_open_charge_is_looked_at_and_the_card_goes_only_if_asked(
    books: Books, cards: Any, state: str, due: int, *, forget_card: bool
) -> None:
    """What waits is called off by the next run."""
    consent.agree(books, cards, "alice", TERMS)
    before = _open(books, state)
    consent.switch_off(books, cards, "alice", forget_card=forget_card)
    found = read(books, "alice")
    card = Card() if forget_card else before.card
    assert (found.on, found.charge, found.due, found.card) == (False, before.charge, due, card)


def test_a_decision_is_made_again_as_often_as_the_row_changes(cards: Any) -> None:
    """The threshold of the last decision stands beside it."""
    store = Meddled()
    books = _begin(store)
    left = [3]

    def concurrent() -> None:
        if left[0]:
            left[0] -= 1
            row = store.tables["quotas"].setdefault(
                ("alice", "top_up"), {"user_id": "alice", "item": "top_up"}
            )
            row["version"] = row.get("version", 0) + 1
            store.first = concurrent

    store.first = concurrent
    assert consent.agree(books, cards, "alice", TERMS) == {
        **ANSWER,
        "agreed_at": "2026-01-02T03:04:05.000004Z",
    }
    assert read(books, "alice").version == 4


def test_trouble_of_the_tables_ends_a_decision_at_once(cards: Any) -> None:
    """It is told, and not tried until the deadline."""
    store = Meddled()
    books = _begin(store)

    def fails() -> None:
        raise NotDoneError("throttled")

    store.first = fails
    with pytest.raises(NotDoneError, match="throttled"):
        consent.agree(books, cards, "alice", TERMS)
    assert not read(books, "alice").on


def test_a_decision_that_never_comes_through_is_unknown(books: Books, cards: Any) -> None:
    """It may be asked for again."""

    def refuse(*_: Write) -> None:
        raise ConditionFailedError({0: None})

    books.store.commit = refuse  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknownError):
        consent.agree(books, cards, "alice", TERMS)


def test_the_plans_of_the_catalogue_are_agreed_to_as_they_are(books: Books, cards: Any) -> None:
    """Starter Pack, 9.99 dollars, 100 units that never expire."""
    consent.agree(books, cards, "alice", Terms(catalogue()["starter"], 10**9, 1))
    row = _row(books, "top_up") or {}
    names = ("plan", "quota", "amount_minor", "currency", "when_below", "max_per_month")
    assert [row[name] for name in names] == ["starter", 100, 999, "usd", 10**9, 1]
    assert "expires_after_days" not in row
