"""Stripe's own payloads, where they are at hand: told as stories of one purchase, with our metadata put in."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import builders
import laws
import pytest
from billing import parking, quota, settlement
from billing.books import Books
from billing.errors import Item
from billing.events import Ignored, parse
from billing.identity import user_key
from billing.payments import Payment
from billing.settings import Ours
from billing.writes import Write
from memory_store import MemoryStore

FOLDER = Path(__file__).parents[3] / "shared" / "events"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the folder with Stripe's payloads is not beside this checkout")
OURS_BY_MODE = {mode: Ours(livemode=mode, stack_name=builders.STACK) for mode in (True, False)}


def _event(number: str) -> dict[str, Any]:
    (path,) = FOLDER.glob(f"{number}_*.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _sold(books: Books, number: str, currency: str = "") -> Payment:
    """A purchase of 100 units as that event's session says, and our metadata on it."""
    subject = _event(number)["data"]["object"]
    frozen = {"amount_minor": subject["amount_subtotal"], "currency": currency or subject["currency"], "session_id": subject["id"]}
    payment = replace(builders.pending(books, payment_id=f"pay_{number}"), **frozen)
    books.store.commit(Write("payments", (user_key("alice"), payment.payment_id), set=payment.to_item()))
    return payment


def _told(books: Books, payment: Payment, number: str) -> str:
    """Deliver it; sessions and intents with our metadata."""
    event = _event(number)
    subject = event["data"]["object"]
    if subject.get("object") in ("checkout.session", "payment_intent"):
        subject["metadata"] = builders.metadata(payment)
    found = parse(event, OURS_BY_MODE[bool(event["livemode"])])
    if isinstance(found, Ignored):
        return found.reason
    outcome = settlement.apply(books, found)
    laws.check(books.store)
    return outcome.status


@pytest.fixture
def books() -> Books:
    """Empty ones."""
    return builders.books_on(MemoryStore())


def _after(books: Books, payment: Payment) -> tuple[str, int]:
    item: Item = books.store.get("payments", (user_key("alice"), payment.payment_id)) or {}
    return Payment.from_item(item).status, quota.read(books, "alice").remaining


@pytest.mark.parametrize("number", ["01", "02", "07", "08", "09", "10", "13", "15", "16", "24"])
def test_a_paid_session_of_any_shape_is_credited_once(books: Books, number: str) -> None:
    """Newest and old API versions, free, discounted, taxed, shown in the buyer's own currency."""
    payment = _sold(books, number)
    assert _told(books, payment, number) == "settled"
    assert _told(books, payment, number) == "duplicate"
    assert _after(books, payment) == ("completed", 100)


@pytest.mark.parametrize("number", ["11", "12"])
def test_the_same_figure_in_another_currency_waits_for_a_person(books: Books, number: str) -> None:
    """A thousand yen are not ten dollars."""
    payment = _sold(books, number, currency="usd")
    assert _told(books, payment, number) == "parked"
    assert [record.kind for record in parking.all_parked(books)] == ["mismatch"]
    assert _after(books, payment) == ("pending", 0)


def test_a_bank_debit_is_credited_when_the_money_comes(books: Books) -> None:
    """Unpaid, paid, and the late copy of the first changes nothing."""
    payment = _sold(books, "03")
    assert _told(books, payment, "03") == "recorded"
    assert _after(books, payment) == ("processing", 0)
    assert [_told(books, payment, number) for number in ("04", "03")] == ["settled", "recorded"]
    assert _after(books, payment) == ("completed", 100)


def test_a_failed_bank_debit_is_not_opened_again(books: Books) -> None:
    """By a completed event that comes after it."""
    payment = _sold(books, "05")
    assert _told(books, payment, "05") == "recorded"
    late = {**_event("05"), "type": "checkout.session.completed", "id": "evt_late"}
    late["data"]["object"]["metadata"] = builders.metadata(payment)
    found = parse(late, OURS_BY_MODE[True])
    assert not isinstance(found, Ignored)
    settlement.apply(books, found)
    assert _after(books, payment) == ("failed", 0)


def test_yen_under_way_are_processing(books: Books) -> None:
    """A currency without cents, paid in a shop later."""
    payment = _sold(books, "06")
    assert _told(books, payment, "06") == "recorded"
    assert _after(books, payment) == ("processing", 0)


def test_an_abandoned_session_expires_and_a_completed_one_does_not(books: Books) -> None:
    """26 was never paid; 27 speaks of the session that 01 paid."""
    abandoned, paid = _sold(books, "26"), _sold(books, "01")
    assert _told(books, abandoned, "26") == "recorded"
    _told(books, paid, "01")
    assert _told(books, paid, "27") == "recorded"
    assert (_after(books, abandoned)[0], _after(books, paid)) == ("expired", ("completed", 100))


@pytest.mark.parametrize(
    ("told", "ends"),
    {
        "in parts": (("35", "38", "41", "36"), ("partially_refunded", 30)),
        "in parts, the other way round": (("36", "35", "36"), ("partially_refunded", 30)),
        "whole": (("34",), ("refunded", 0)),
        "disputed and won": (("51", "52", "54"), ("completed", 100)),
        "disputed and lost": (("52", "51", "55"), ("refunded", 0)),
        "an inquiry that ended": (("56",), ("completed", 100)),
        "a second signal for the same money, and a warning": (("32", "70"), ("completed", 100)),
    }.values(),
)
def test_the_story_of_a_card_payment_ends_where_it_should(books: Books, told: tuple[str, ...], ends: tuple[str, int]) -> None:
    """All events of one purchase share its payment intent and charge."""
    payment = _sold(books, "01")
    for number in ("01", *told):
        _told(books, payment, number)
    assert _after(books, payment) == ends


def test_a_refund_that_failed_gives_back_what_it_took(books: Books) -> None:
    """Pending and succeeded, it is learned by its id; the charge's figure took the units before."""
    payment = _sold(books, "03")
    for number in ("03", "04"):
        _told(books, payment, number)
    settlement.apply(books, _refunded_charge(payment))
    assert _after(books, payment) == ("refunded", 0)
    assert [_told(books, payment, number) for number in ("39", "40", "42")] == ["recorded", "duplicate", "settled"]
    assert _after(books, payment) == ("completed", 100)


def _refunded_charge(payment: Payment) -> Any:
    event = builders.refunded(payment, 1000)
    event["data"]["object"]["payment_intent"] = _event("04")["data"]["object"]["payment_intent"]
    return builders.fact(event)


@pytest.mark.parametrize("number", ["30", "33", "60", "61", "64", "15", "21", "19"])
def test_what_is_not_ours_is_ignored(books: Books, number: str) -> None:
    """Other products, other integrations, thin events, other objects: as they came, without metadata of ours."""
    event = _event(number)
    assert isinstance(parse(event, OURS_BY_MODE[bool(event["livemode"])]), Ignored)
    assert not books.store.tables["events"]  # type: ignore[attr-defined]


def test_a_subscription_with_our_metadata_is_not_ours(books: Books) -> None:
    """Only sessions in payment mode are purchases."""
    assert _told(books, _sold(books, "19"), "19") == "not_ours"


@pytest.mark.parametrize("number", ["01", "24"])
def test_events_of_the_other_mode_are_ignored(number: str) -> None:
    """A live event on a test stack, a test event on a live one."""
    event = _event(number)
    assert parse(event, OURS_BY_MODE[not event["livemode"]]) == Ignored("other_mode")
