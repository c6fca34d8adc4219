"""Every request to Stripe, to the last byte that matters."""

from collections.abc import Callable
from typing import Any, Final

import pytest
import stripe
from billing.stripe_api.cards import SavedCards
from billing.stripe_api.client import Gateway
from support.stripe_wire import CHARGE, CREATE, NOTHING, Wire, page

EXPANDED: Final = {"expand[0]": "data.payment_intent"}
SINCE: Final = {"created[gte]": "1767323045", "limit": "100"}
AFTER: Final = {**SINCE, "starting_after": "x_9"}
ASKED: Final[list[tuple[Callable[[Gateway], object], str, dict[str, str]]]] = [
    (lambda at: at.session("cs_1"), "GET sessions/cs_1", {"expand[0]": "payment_intent"}),
    (
        lambda at: at.session_of_intent("pi_1"),
        "GET sessions",
        {"payment_intent": "pi_1", "limit": "1"},
    ),
    (lambda at: at.expire_session("cs_1"), "POST sessions/cs_1/expire", {}),
    (lambda at: at.payment_intent("pi_1"), "GET payment_intents/pi_1", {}),
    (lambda at: at.payment_intents(1767323045), "GET payment_intents", SINCE),
    (lambda at: at.payment_intents(1767323045, "x_9"), "GET payment_intents", AFTER),
    (lambda at: at.purchase("pi_1"), "GET payment_intents/pi_1", {}),
    (lambda at: at.purchase("cs_1"), "GET sessions/cs_1", {"expand[0]": "payment_intent"}),
    (
        lambda at: at.receipt_url("pi_1"),
        "GET payment_intents/pi_1",
        {"expand[0]": "latest_charge"},
    ),
    (lambda at: at.charge("ch_1"), "GET charges/ch_1", {}),
    (lambda at: at.event("evt_1"), "GET events/evt_1", {}),
    (lambda at: at.sessions(1767323045), "GET sessions", SINCE | EXPANDED),
    (lambda at: at.sessions(1767323045, "x_9"), "GET sessions", AFTER | EXPANDED),
    (lambda at: at.refunds(1767323045), "GET refunds", SINCE | EXPANDED),
    (lambda at: at.refunds(1767323045, "x_9"), "GET refunds", AFTER | EXPANDED),
    (lambda at: at.disputes(1767323045), "GET disputes", SINCE | EXPANDED),
    (lambda at: at.disputes(1767323045, "x_9"), "GET disputes", AFTER | EXPANDED),
    (
        lambda at: list(at.refunds_of("pi_1")),
        "GET refunds",
        {"payment_intent": "pi_1", "limit": "100"},
    ),
    (
        lambda at: at.disputes_of("pi_1"),
        "GET disputes",
        {"payment_intent": "pi_1", "limit": "100"},
    ),
    (
        lambda at: at.create_session(CREATE, "key_1"),
        "POST sessions",
        {"mode": "payment", "metadata[user_id]": "alice"},
    ),
    (
        lambda at: SavedCards(at).create_customer({"user_id": "alice"}, "key_1"),
        "POST customers",
        {"metadata[user_id]": "alice"},
    ),
    (
        lambda at: SavedCards(at).cards_of("cus_1"),
        "GET customers/cus_1/payment_methods",
        {"type": "card", "limit": "100"},
    ),
    (lambda at: SavedCards(at).forget_card("pm_1"), "POST payment_methods/pm_1/detach", {}),
    (
        lambda at: SavedCards(at).charge_card(CHARGE, "key_1"),
        "POST payment_intents",
        {"amount": "999", "currency": "usd", "metadata[user_id]": "alice"},
    ),
    (
        lambda at: SavedCards(at).charge_card_again("pi_1", {"payment_method": "pm_1"}, "key_1"),
        "POST payment_intents/pi_1/confirm",
        {"payment_method": "pm_1"},
    ),
    (lambda at: SavedCards(at).intent("pi_1"), "GET payment_intents/pi_1", {}),
    (
        lambda at: list(SavedCards(at).intents_of("cus_1", 1767323045)),
        "GET payment_intents",
        {"customer": "cus_1", **SINCE},
    ),
]


@pytest.mark.parametrize(("ask", "place", "sent"), ASKED)
def test_a_request_asks_for_exactly_this(
    wire: Wire, ask: Callable[[Gateway], object], place: str, sent: dict[str, str]
) -> None:
    """Once, in the version that the package was made for, with the key, and no more."""
    ask(wire.gateway((200, {"object": "list", "id": "x_1", "data": [], "has_more": False})))
    method, _, path = place.partition(" ")
    checkout = "checkout/" if path.startswith("sessions") else ""
    assert wire.asked == [(f"{method} /v1/{checkout}{path}", sent)]
    (headers,) = wire.headers
    assert headers["stripe-version"] == "2026-10-28.endive"
    assert headers["authorization"] == "Bearer sk_test_0"
    if "key_1" in str(headers):
        assert (method, headers["idempotency-key"]) == ("POST", "key_1")


@pytest.mark.parametrize(
    "ask",
    [
        lambda at: at.create_session(CREATE, "key_1"),
        lambda at: SavedCards(at).create_customer({"user_id": "alice"}, "key_1"),
        lambda at: SavedCards(at).charge_card(CHARGE, "key_1"),
        lambda at: SavedCards(at).charge_card_again("pi_1", {}, "key_1"),
    ],
)
def test_what_costs_money_or_makes_an_object_has_our_key_in_every_try(
    wire: Wire, ask: Callable[[Gateway], object]
) -> None:
    """Stripe does it once: https://docs.stripe.com/api/idempotent_requests."""
    ask(wire.gateway((409, {"error": {"type": "idempotency_error"}}), (200, {"id": "x_1"})))
    assert [headers["idempotency-key"] for headers in wire.headers] == ["key_1", "key_1"]


def test_pages_are_read_until_stripe_says_that_there_is_no_more(wire: Wire) -> None:
    """Three of them, each from behind the last row of the one before."""
    pages = (
        page({"id": "x_1"}, {"id": "x_2"}, more=True),
        page({"id": "x_3"}, {"id": "x_4"}, more=True),
        page({"id": "x_5"}),
    )
    all_ids = ["x_1", "x_2", "x_3", "x_4", "x_5"]
    assert [row["id"] for row in wire.gateway(*pages).refunds_of("pi_1")] == all_ids
    assert [row["id"] for row in wire.cards(*pages).intents_of("cus_1", 5)] == all_ids
    assert [sent.get("starting_after") for _, sent in wire.asked] == [None, "x_2", "x_4"] * 2


def test_an_answer_is_handed_on_as_stripe_sent_it(wire: Wire) -> None:
    """The rows, the first of them, an id, or the whole."""
    rows = page({"id": "x_1", "deep": {"n": [1]}}, {"id": "x_2"})
    assert wire.gateway(rows).sessions(5) == rows[1]
    assert wire.gateway(rows).session_of_intent("pi_1") == {"id": "x_1", "deep": {"n": [1]}}
    assert wire.gateway(NOTHING).session_of_intent("pi_1") is None
    assert wire.gateway(rows).disputes_of("pi_1") == rows[1]["data"]
    assert wire.cards(rows).cards_of("cus_1") == rows[1]["data"]
    assert wire.cards((200, {"id": "cus_1"})).create_customer({}, "k") == "cus_1"
    assert wire.cards((200, {"id": "pi_1"})).charge_card({}, "k") == {"id": "pi_1"}
    assert wire.cards((200, {"id": "pi_1"})).charge_card_again("pi_1", {}, "k") == {"id": "pi_1"}
    assert wire.cards((200, {"id": "pi_1"})).intent("pi_1") == {"id": "pi_1"}


@pytest.mark.parametrize(
    ("charge", "address"),
    [({"receipt_url": "https://r"}, "https://r"), ({}, None), ("ch_1", None), (None, None)],
)
def test_a_receipt_is_on_the_latest_charge(wire: Wire, charge: object, address: str | None) -> None:
    gateway = wire.gateway((200, {"id": "pi_1", "latest_charge": charge}))
    assert gateway.receipt_url("pi_1") == address


def test_a_session_without_metadata_can_be_asked_for(wire: Wire) -> None:
    """Nothing of it is personal."""
    params: Any = {"mode": "payment"}
    assert wire.gateway((200, {"id": "cs_1"})).create_session(params, "k") == {"id": "cs_1"}


def test_a_request_is_given_up_after_a_second_to_connect_and_five_to_answer(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package's own time-out is 80 seconds, longer than a function lives."""
    made: list[object] = []
    client = stripe.RequestsClient

    def noted(**options: Any) -> stripe.RequestsClient:
        made.append(options)
        return client(**options)

    monkeypatch.setattr(stripe, "RequestsClient", noted)
    gateway = wire.gateway((200, {"id": "cs_1"}))
    for _ in range(2):
        gateway.session("cs_1")
    assert made == [{"timeout": (1, 5)}], "and one client serves all requests"
