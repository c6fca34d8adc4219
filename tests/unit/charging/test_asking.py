"""What each answer of Stripe's about a charge means, and what Stripe is asked for."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from billing.books import Books
from billing.charging.answers import (
    Declined,
    NotMade,
    Processing,
    Refused,
    Succeeded,
    Unknown,
    Word,
)
from billing.charging.asking import Asker
from billing.charging.charge import Charge
from billing.errors import BillingError, NotDoneError, StripeRefusedError
from billing.facts import DeclinedFact, SessionFact
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.stripe_api.cards import CardDeclinedError
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from support import builders
from support.builders import DEPLOYMENT, STACK
from support.fakes.memory_store import MemoryStore

NOW = 1_767_323_045
HOUR = 3600
PAYMENT = Payment.of(catalogue()["starter"], "pay_1", "alice", "2026-01-02T03:04:05.000000Z")
CHARGE = Charge(payment_id="pay_1", state="asked", asked_at=NOW, card="pm_1", customer="cus_1")
CLAIMS = {
    "payment_id": "pay_1", "user_id": "alice", "plan": "starter", "quota": "100",
    "stack": STACK, "deployment": DEPLOYMENT, "automatic": "true",
}  # fmt: skip
DECLINE = {"code": "card_declined", "decline_code": "insufficient_funds"}


def _intent(status: str, **members: Any) -> dict[str, Any]:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "status": status,
        "amount": PAYMENT.amount_minor,
        "amount_received": PAYMENT.amount_minor,
        "created": NOW,
        "currency": "usd",
        "customer": "cus_1",
        "livemode": False,
        "metadata": CLAIMS,
        "last_payment_error": None,
        **members,
    }


class Cards:
    """Answers as it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        """It charges, and lists nothing."""
        self.charging: Any = _intent("succeeded")
        self.looking: Any = None
        self.listed: list[dict[str, Any]] = []
        self.saved: Any = [{"id": "pm_1"}]
        self.asked: list[tuple[Any, ...]] = []
        self.is_live = False

    def _say(self, what: Any, *asked: Any) -> Any:
        self.asked.append(asked)
        if isinstance(what, Exception):
            raise what
        return what

    def cards_of(self, customer: str) -> Any:
        """The saved ones."""
        return self._say(self.saved, "cards", customer)

    def charge_card(self, params: Mapping[str, Any], key: str) -> Any:
        """Create."""
        return self._say(self.charging, "create", params, key)

    def charge_card_again(self, intent: str, params: Mapping[str, Any], key: str) -> Any:
        """Confirm."""
        return self._say(self.charging, "confirm", intent, params, key)

    def intent(self, intent: str) -> Any:
        """Look at one."""
        return self._say(self.looking, "intent", intent)

    def intents_of(self, customer: str, since: int) -> Iterator[Any]:
        """List."""
        if self.looking:
            self._say(self.looking, "list", customer, since)
        yield from self._say(self.listed, "list", customer, since)

    def is_of_mode(self, *, livemode: bool) -> bool:
        """The key's."""
        return livemode is self.is_live


@pytest.fixture
def books() -> Books:
    """The test stack's."""
    return builders.books_on(MemoryStore())


@pytest.fixture
def cards() -> Any:
    """It charges."""
    return Cards()


@pytest.fixture
def asker(books: Books, cards: Any) -> Asker:
    """Of the test stack."""
    return Asker(cards, books.ours, STACK)


def _answer(word: Word) -> object:
    return word.answer


def test_a_first_attempt_creates_an_intent_as_it_was_agreed_to(asker: Asker, cards: Any) -> None:
    """Under the attempt's own key; a card that wants its holder is an error and no wait."""
    found = asker.send(PAYMENT, CHARGE, NOW)
    assert found.answer == Succeeded("pi_1")
    assert isinstance(found.fact, SessionFact)
    assert (found.fact.payment_id, found.fact.payment_intent) == ("pay_1", "pi_1")
    params = {
        "amount": PAYMENT.amount_minor,
        "currency": "usd",
        "customer": "cus_1",
        "payment_method": "pm_1",
        "allowed_payment_method_types": ["card"],
        "confirm": True,
        "off_session": True,
        "error_on_requires_action": True,
        "metadata": CLAIMS,
    }
    assert cards.asked == [("create", params, "pay_1-0")]


def test_a_later_attempt_confirms_the_intent_of_the_first(asker: Asker, cards: Any) -> None:
    again = Charge(payment_id="pay_1", attempt=2, intent="pi_1", card="pm_2", customer="cus_1")
    assert asker.send(PAYMENT, again, NOW).answer == Succeeded("pi_1")
    away = {"off_session": True, "error_on_requires_action": True}
    assert cards.asked == [("confirm", "pi_1", {"payment_method": "pm_2", **away}, "pay_1-2")]


def test_a_later_attempt_looks_first_for_an_intent_that_was_made_after_all(
    asker: Asker, cards: Any
) -> None:
    """In the seven days before it was asked for."""
    cards.listed = [_intent("succeeded")]
    again = Charge(payment_id="pay_1", attempt=1, asked_at=NOW, card="pm_1", customer="cus_1")
    assert asker.send(PAYMENT, again, NOW).answer == Succeeded("pi_1")
    assert cards.asked == [("list", "cus_1", NOW - 7 * 24 * HOUR)]
    cards.asked.clear()
    cards.listed = []
    asker.send(PAYMENT, again, NOW)
    assert [asked[0] for asked in cards.asked] == ["list", "create"]


@pytest.mark.parametrize(
    "other",
    [
        {"metadata": {**CLAIMS, "payment_id": "pay_2"}},
        {"metadata": {**CLAIMS, "deployment": "dep_other"}},
        {"metadata": {**CLAIMS, "automatic": "false"}},
        {"metadata": {}},
    ],
    ids=str,
)
def test_an_intent_of_something_else_is_not_taken_for_it(
    asker: Asker, cards: Any, other: dict[str, Any]
) -> None:
    """Wherever it stands in the list."""
    cards.listed = [_intent("succeeded", **other)]
    assert asker.look(PAYMENT, CHARGE, NOW).answer == NotMade()
    cards.listed = [_intent("succeeded", **other), _intent("processing")]
    assert asker.look(PAYMENT, CHARGE, NOW).answer == Processing("pi_1")


@pytest.mark.parametrize(
    ("intent", "answer"),
    [
        (_intent("succeeded"), Succeeded("pi_1")),
        (_intent("processing"), Processing("pi_1")),
        (_intent("canceled"), Refused("refused")),
        (_intent("requires_action"), Declined("authentication", "pi_1")),
        (_intent("requires_payment_method", last_payment_error=DECLINE), Declined("soft", "pi_1")),
        (_intent("requires_payment_method"), NotMade("pi_1")),
        (_intent("requires_confirmation", last_payment_error=DECLINE), NotMade("pi_1")),
    ],
    ids=str,
)
def test_only_what_has_succeeded_is_money(
    asker: Asker, cards: Any, intent: dict[str, Any], answer: object
) -> None:
    """Whether it was asked for now, or is looked at later."""
    cards.charging = intent
    assert _answer(asker.send(PAYMENT, CHARGE, NOW)) == answer
    cards.listed = [intent]
    assert _answer(asker.look(PAYMENT, CHARGE, NOW)) == answer


def test_a_decline_is_told_with_its_reason(asker: Asker, cards: Any) -> None:
    """To the payment's own record, which is there."""
    cards.charging = CardDeclinedError({**DECLINE, "payment_intent": {"id": "pi_9"}})
    found = asker.send(PAYMENT, CHARGE, NOW)
    assert found.answer == Declined("soft", "pi_9")
    assert found.fact == DeclinedFact(
        fact_id=f"top_up:pay_1:{NOW}",
        type="top_up",
        created=NOW,
        payment_id="pay_1",
        user_id="alice",
        failure_code="insufficient_funds",
        needs_record=False,
    )


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_is_the_operators_and_leaves_it_unknown(
    asker: Asker, cards: Any, status: int
) -> None:
    """The customer's cards are not even looked at."""
    cards.charging = StripeRefusedError({"http_status": status})
    found = asker.send(PAYMENT, CHARGE, NOW)
    assert (found.answer, found.error) == (Unknown(), cards.charging)
    assert [asked[0] for asked in cards.asked] == ["create"]


@pytest.mark.parametrize("status", [400, 402, 404])
@pytest.mark.parametrize(
    ("saved", "reason"),
    [
        ([{"id": "pm_2"}, {"id": "pm_1"}], "refused"),
        ([{"id": "pm_2"}], "card_gone"),
        (StripeNotFoundError("customer"), "card_gone"),
        (StripeServerError(), "refused"),
    ],
    ids=str,
)
def test_a_request_that_is_refused_is_the_cards_only_if_it_is_gone(
    asker: Asker, cards: Any, status: int, saved: Any, reason: str
) -> None:
    """What only an operator can fix is told of."""
    cards.charging, cards.saved = StripeRefusedError({"http_status": status}), saved
    found = asker.send(PAYMENT, CHARGE, NOW)
    assert found.answer == Refused(reason)  # type: ignore[arg-type] # as given
    assert found.error is (None if reason == "card_gone" else cards.charging)


def test_what_stripe_does_not_know_is_refused(asker: Asker, cards: Any) -> None:
    """A payment method or an intent that was deleted."""
    cards.charging, cards.saved = StripeNotFoundError("pm_1", {"http_status": 404}), []
    assert asker.send(PAYMENT, CHARGE, NOW).answer == Refused("card_gone")
    cards.saved = [{"id": "pm_1"}]
    found = asker.send(PAYMENT, CHARGE, NOW)
    assert found.answer == Refused("refused")
    assert isinstance(found.error, StripeRefusedError)
    assert found.error.refusal == {"http_status": 404}


TROUBLE = [StripeServerError(), BillingError("stripe_unavailable", "x"), NotDoneError("x")]


@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda one: type(one).__name__)
def test_after_an_unknown_outcome_stripe_is_asked_what_became_of_it(
    asker: Asker, cards: Any, trouble: Exception
) -> None:
    """With the first trouble as the reason where that is unknown too."""
    cards.charging = trouble
    assert asker.send(PAYMENT, CHARGE, NOW) == Word(NotMade(), error=trouble)
    cards.listed = [_intent("succeeded")]
    assert asker.send(PAYMENT, CHARGE, NOW).answer == Succeeded("pi_1")
    cards.looking = StripeServerError("later")
    assert asker.send(PAYMENT, CHARGE, NOW) == Word(Unknown(), error=trouble)
    assert asker.look(PAYMENT, CHARGE, NOW) == Word(Unknown(), error=cards.looking)
    cards.looking = trouble
    assert asker.look(PAYMENT, CHARGE, NOW) == Word(Unknown(), error=trouble)
    cards.looking = StripeNotFoundError("customer")
    assert asker.send(PAYMENT, CHARGE, NOW) == Word(NotMade(), error=trouble)


@pytest.mark.parametrize(
    ("charge", "seconds", "is_known"),
    [
        ({"attempt": 1, "intent": "pi_1"}, 23 * HOUR - 1, False),
        ({"attempt": 1, "intent": "pi_1"}, 23 * HOUR, True),
        ({"attempt": 0, "intent": "pi_1"}, 1, True),
        ({"attempt": 1, "intent": "pi_1", "state": "processing"}, 1, True),
    ],
)
def test_a_decline_may_be_an_earlier_attempts_while_this_one_is_under_way(
    asker: Asker, cards: Any, charge: dict[str, Any], seconds: int, *, is_known: bool
) -> None:
    """Then it says nothing of this one."""
    cards.looking = _intent("requires_payment_method", last_payment_error=DECLINE)
    known: dict[str, Any] = {"payment_id": "pay_1", "state": "asked", **charge}
    found = asker.look(PAYMENT, Charge(asked_at=NOW - seconds, **known), NOW)
    assert found.answer == (Declined("soft", "pi_1") if is_known else Unknown())
    cards.looking = _intent("succeeded")
    assert asker.look(PAYMENT, Charge(asked_at=NOW, **known), NOW).answer == Succeeded("pi_1")


def test_with_a_key_of_the_other_mode_nothing_is_asked(asker: Asker, cards: Any) -> None:
    """Every object would seem to be missing."""
    cards.is_live = True
    assert asker.send(PAYMENT, CHARGE, NOW) == Word(Unknown())
    assert cards.asked == []
