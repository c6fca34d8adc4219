"""What is made of Stripe's answers that are no success, and what is told of them."""

from collections.abc import Callable
from typing import Any

import pytest
from billing.errors import BillingError, StripeRefusedError
from billing.stripe_api.cards import CardDeclinedError, SavedCards
from billing.stripe_api.client import Gateway
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from support.stripe_wire import CHARGE, CREATE, NOTHING, Answer, Wire, refusal


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_is_read_again_once(wire: Wire, status: int) -> None:
    """It may have been rolled: https://docs.stripe.com/keys#rolling-keys."""
    gateway = wire.gateway(refusal(status), (200, {"id": "cs_1"}))
    assert gateway.session("cs_1") == {"id": "cs_1"}
    assert wire.read == [False, True]
    sent = [headers["authorization"] for headers in wire.headers]
    assert sent == ["Bearer sk_test_0", "Bearer sk_test_1"]
    assert gateway.key() == "sk_test_1"


def test_a_second_refusal_of_the_key_within_a_request_is_for_good(wire: Wire) -> None:
    """Also where something else passed in between."""
    gateway = wire.gateway(refusal(401), refusal(429), refusal(401), (200, {}))
    with pytest.raises(StripeRefusedError):
        gateway.session("cs_1")
    assert wire.read == [False, True, False]


def test_the_key_is_the_last_that_was_read_and_else_read_now(wire: Wire) -> None:
    gateway = wire.gateway((200, {"id": "cs_1"}))
    assert (gateway.key(), wire.read) == ("sk_test_0", [False])
    gateway.session("cs_1")
    assert (gateway.key(), wire.read) == ("sk_test_0", [False, False])


def test_a_fault_of_ours_in_a_request_is_not_tried_again(wire: Wire) -> None:
    """It comes out as itself."""
    gateway, tries = wire.gateway((200, {})), []

    def fails(_: object) -> Any:
        tries.append(1)
        raise KeyError("an internal error")

    with pytest.raises(KeyError):
        gateway.ask(fails)
    assert len(tries) == 1


def test_what_passes_is_tried_until_the_deadline_and_then_unavailable(wire: Wire) -> None:
    """In the words that a buyer sees."""
    with pytest.raises(BillingError) as trouble:
        wire.gateway(refusal(429)).session("cs_1")
    assert str(trouble.value) == (
        "stripe_unavailable: Stripe did not answer in time. Nothing was charged; please try again."
    )
    assert len(wire.asked) == 3
    assert trouble.value.__cause__ is not None


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (refusal(500), StripeServerError, "APIError 500"),
        (refusal(599), StripeServerError, "APIError 599"),
        (refusal(424), StripeServerError, "APIError 424"),
        (refusal(404, code="resource_missing", message=""), StripeNotFoundError, "no such object"),
        (
            refusal(404, code="resource_missing", message="No such session"),
            StripeNotFoundError,
            "No such session",
        ),
    ],
)
def test_a_fault_at_stripe_is_named_in_the_log(
    wire: Wire, answer: Answer, kind: type[Exception], text: str
) -> None:
    """By its kind and its status, or in Stripe's own words."""
    with pytest.raises(kind) as fault:
        wire.gateway(answer).session("cs_1")
    assert str(fault.value) == text
    assert fault.value.__cause__ is not None
    assert len(wire.asked) == 1


@pytest.mark.parametrize("status", [300, 399, 408])
def test_an_answer_that_says_nothing_for_good_is_unavailable(wire: Wire, status: int) -> None:
    with pytest.raises(BillingError) as trouble:
        wire.gateway(refusal(status)).session("cs_1")
    assert trouble.value.code == "stripe_unavailable"


@pytest.mark.parametrize("status", [400, 402, 499])
def test_a_clients_fault_is_refused_for_good(wire: Wire, status: int) -> None:
    with pytest.raises(StripeRefusedError):
        wire.gateway(refusal(status)).session("cs_1")


def test_what_stripe_does_not_have_is_told_with_its_whole_answer(wire: Wire) -> None:
    """The log shows it."""
    with pytest.raises(StripeNotFoundError) as missing:
        wire.gateway(refusal(404, code="resource_missing", param="session")).session("cs_1")
    assert missing.value.refusal == {
        "type": "invalid_request_error",
        "code": "resource_missing",
        "decline_code": None,
        "message": "No.",
        "param": "session",
        "request_id": "req_1",
        "http_status": 404,
    }
    assert dict(StripeNotFoundError().refusal) == {}
    assert str(StripeNotFoundError()) == "no such object"


@pytest.mark.parametrize(
    "ask",
    [
        lambda at: at.create_session(CREATE, "k"),
        lambda at: SavedCards(at).create_customer({"user_id": "alice"}, "k"),
        lambda at: SavedCards(at).charge_card(CHARGE, "k"),
    ],
)
def test_a_users_id_is_hidden_wherever_it_was_sent(
    wire: Wire, ask: Callable[[Gateway], object]
) -> None:
    """Some issuers use e-mail addresses or names."""
    with pytest.raises(StripeRefusedError) as refused:
        ask(wire.gateway(refusal(400, message="Invalid user alice, or not alice.")))
    hidden = "Invalid user [hidden], or not [hidden]."
    assert refused.value.refusal["message"] == hidden


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(
    ("error", "intent"),
    [
        ({"payment_intent": {"id": "pi_1"}}, "pi_1"),
        ({"payment_intent": {"id": None}}, ""),
        ({"payment_intent": {}}, ""),
        ({"payment_intent": "pi_1"}, ""),
        ({}, ""),
    ],
)
def test_a_declined_card_is_told_with_its_payment_intent(
    wire: Wire, error: dict[str, Any], intent: str, *, again: bool
) -> None:
    """https://docs.stripe.com/api/errors#errors-payment_intent."""
    told = {"type": "card_error", "code": "card_declined", "decline_code": "lost_card", **error}
    cards = wire.cards((402, {"error": told}))
    with pytest.raises(CardDeclinedError) as declined:
        _charge(cards, again=again)
    assert (str(declined.value), declined.value.intent) == ("card_declined", intent)
    assert declined.value.error == told
    assert isinstance(declined.value.__cause__, StripeRefusedError)


@pytest.mark.parametrize("again", [False, True])
def test_another_refusal_of_a_charge_is_no_decline(wire: Wire, *, again: bool) -> None:
    with pytest.raises(StripeRefusedError):
        _charge(wire.cards(refusal(400, code="parameter_missing")), again=again)


@pytest.mark.parametrize("again", [False, True])
def test_a_charge_whose_outcome_is_not_known_is_no_decline(wire: Wire, *, again: bool) -> None:
    """The same key again tells."""
    with pytest.raises(StripeServerError):
        _charge(wire.cards(refusal(500, type="card_error")), again=again)


def _charge(cards: SavedCards, *, again: bool) -> object:
    if again:
        return cards.charge_card_again("pi_1", {}, "k")
    return cards.charge_card({}, "k")


@pytest.mark.parametrize(
    ("key", "live", "test"),
    [
        ("sk_live_1", True, False),
        ("rk_live_1", True, False),
        ("sk_test_1", False, True),
        ("rk_test_1_2", False, True),
        ("sk_other_1", True, True),
        ("live", True, True),
        ("_test", False, True),
    ],
)
def test_a_key_tells_its_mode(wire: Wire, key: str, *, live: bool, test: bool) -> None:
    """https://docs.stripe.com/keys. One in a form that we do not know is asked all the same."""
    wire.keys = [key, key]
    cards = wire.cards(NOTHING)
    assert (cards.is_of_mode(livemode=True), cards.is_of_mode(livemode=False)) == (live, test)
