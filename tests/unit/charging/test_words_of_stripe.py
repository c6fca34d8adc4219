"""Each word of Stripe's about a charge, whole: the answer, the fact for the books, the trouble."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import pytest
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
from billing.payments.plan import Plan
from billing.stripe_api.cards import CardDeclinedError
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from support import builders
from support.fakes.card_twin import CardTwin

NOW: Final = 1_767_323_045
HOUR: Final = 3600
PLAN: Final = Plan(
    id="gold",
    name="Gold",
    description="Gold.",
    amount_minor=1234,
    currency="eur",
    quota=70,
    expires_after_days=30,
)
PAYMENT: Final = Payment.of(PLAN, "pay_1", "alice", "2026-01-02T03:04:05.000000Z")
CLAIMS: Final = {
    "payment_id": "pay_1",
    "user_id": "alice",
    "plan": "gold",
    "quota": "70",
    "expires_after_days": "30",
    "stack": "topup-test",
    "deployment": "dep_test",
    "automatic": "true",
}
DECLINE: Final = {"code": "card_declined", "decline_code": "insufficient_funds"}
PAID: Final = SessionFact(
    fact_id="top_up:pi_1",
    type="top_up",
    created=NOW - 7,
    kind="paid",
    session_id="",
    payment_id="pay_1",
    user_id="alice",
    plan="gold",
    quota=70,
    amount_subtotal=1234,
    amount_total=1234,
    currency="eur",
    payment_intent="pi_1",
    expires_after_days=30,
    needs_record=False,
)


class Stripe(CardTwin):
    """Answers a request for money with what it is given, and notes what it was asked."""

    def __init__(self) -> None:
        """One customer with one card."""
        super().__init__(builders.Clock())
        self.answer: Any = _intent("succeeded")
        self.listing: Exception | None = None
        self.naming: Exception | None = None
        self.asked: list[tuple[Any, ...]] = []

    def charge_card(self, params: Mapping[str, Any], idempotency_key: str) -> Mapping[str, Any]:
        """Create and confirm."""
        self.asked.append(("create", dict(params), idempotency_key))
        return self._given()

    def charge_card_again(
        self, intent: str, params: Mapping[str, Any], idempotency_key: str
    ) -> Mapping[str, Any]:
        """Confirm again."""
        self.asked.append(("confirm", intent, dict(params), idempotency_key))
        return self._given()

    def intents_of(self, customer: str, since: int) -> Iterator[Mapping[str, Any]]:
        """Newest first."""
        self.asked.append(("list", customer, since))
        if self.listing:
            raise self.listing
        yield from super().intents_of(customer, since)

    def cards_of(self, customer: str) -> list[Mapping[str, Any]]:
        """All of them."""
        self.asked.append(("cards", customer))
        if self.naming:
            raise self.naming
        return super().cards_of(customer)

    def _given(self) -> Mapping[str, Any]:
        if isinstance(self.answer, Exception):
            raise self.answer
        found: Mapping[str, Any] = self.answer
        return found


def _intent(status: str, name: str = "pi_1", **members: Any) -> dict[str, Any]:
    return {
        "id": name,
        "object": "payment_intent",
        "status": status,
        "amount": 1234,
        "amount_received": 1234,
        "created": NOW - 7,
        "currency": "eur",
        "customer": "cus_1",
        "livemode": False,
        "metadata": CLAIMS,
        "last_payment_error": DECLINE,
        **members,
    }


def _charge(**members: Any) -> Charge:
    whole = {"state": "asked", "asked_at": NOW - 60, "card": "pm_1", "customer": "cus_1"}
    return Charge(payment_id="pay_1", **{**whole, **members})


def _declined(code: str) -> DeclinedFact:
    return DeclinedFact(
        fact_id=f"top_up:pay_1:{NOW}",
        type="top_up",
        created=NOW,
        payment_id="pay_1",
        user_id="alice",
        failure_code=code,
        needs_record=False,
    )


@pytest.fixture
def stripe() -> Stripe:
    """One customer with one card."""
    return Stripe()


@pytest.fixture
def asker(stripe: Stripe) -> Asker:
    """Of the test stack."""
    return Asker(stripe, builders.OURS, builders.STACK)


WORDS: Final[list[tuple[dict[str, Any], Word]]] = [
    (_intent("succeeded"), Word(Succeeded("pi_1"), PAID)),
    (
        _intent("succeeded", amount_received=0),
        Word(Succeeded("pi_1"), replace(PAID, amount_total=0)),
    ),
    (_intent("succeeded", amount=None), Word(Succeeded("pi_1"))),
    (_intent("processing"), Word(Processing("pi_1"), replace(PAID, kind="unpaid"))),
    (_intent("processing", livemode=True), Word(Processing("pi_1"))),
    (_intent("canceled"), Word(Refused("refused"), replace(PAID, kind="async_failed"))),
    (_intent("canceled", currency=None), Word(Refused("refused"))),
    (
        _intent("requires_action"),
        Word(Declined("authentication", "pi_1"), _declined("authentication_required")),
    ),
    (
        _intent("requires_payment_method"),
        Word(Declined("soft", "pi_1"), _declined("insufficient_funds")),
    ),
    (
        _intent("requires_payment_method", last_payment_error={"code": "expired_card"}),
        Word(Declined("hard", "pi_1"), _declined("expired_card")),
    ),
    (
        _intent("requires_payment_method", last_payment_error={}),
        Word(Declined("soft", "pi_1"), _declined("payment_failed")),
    ),
    (_intent("requires_payment_method", last_payment_error=None), Word(NotMade("pi_1"))),
    (_intent("requires_confirmation"), Word(NotMade("pi_1"))),
    (_intent("requires_capture"), Word(NotMade("pi_1"))),
    (_intent("a_status_to_come"), Word(NotMade("pi_1"))),
]


@pytest.mark.parametrize(("intent", "word"), WORDS)
def test_each_state_of_an_intent_is_one_word(
    asker: Asker, stripe: Stripe, intent: dict[str, Any], word: Word
) -> None:
    """Whether it is the answer to a request or is looked at later, alone or among others."""
    stripe.answer = intent
    assert asker.send(PAYMENT, _charge(), NOW) == word
    others = [_intent("succeeded", f"pi_{number}", metadata={}) for number in (7, 8, 9)]
    stripe.charged = [*others[:2], intent, others[2]]
    assert asker.look(PAYMENT, _charge(), NOW) == word
    assert asker.look(PAYMENT, _charge(intent="pi_1"), NOW) == word


def test_units_that_expire_are_charged_with_the_term_in_the_metadata(
    asker: Asker, stripe: Stripe
) -> None:
    """So that the event alone says how long they live."""
    asker.send(PAYMENT, _charge(), NOW)
    (asked,) = stripe.asked
    params = {
        "amount": 1234,
        "currency": "eur",
        "customer": "cus_1",
        "payment_method": "pm_1",
        "allowed_payment_method_types": ["card"],
        "confirm": True,
        "off_session": True,
        "error_on_requires_action": True,
        "metadata": CLAIMS,
    }
    assert asked == ("create", params, "pay_1-0")


@pytest.mark.parametrize(
    ("members", "asked"),
    [
        ({"attempt": 0}, ["create"]),
        ({"attempt": 1}, ["list", "create"]),
        ({"attempt": 2}, ["list", "create"]),
        ({"attempt": 1, "intent": "pi_1"}, ["confirm"]),
        ({"attempt": 0, "intent": "pi_1"}, ["confirm"]),
    ],
)
def test_what_is_asked_depends_on_the_attempt_and_on_whether_an_intent_is_known(
    asker: Asker, stripe: Stripe, members: dict[str, Any], asked: list[str]
) -> None:
    """A second intent is never created."""
    asker.send(PAYMENT, _charge(**members), NOW)
    assert [name for name, *_ in stripe.asked] == asked


@pytest.mark.parametrize(
    ("before", "is_found"), [(0, True), (7 * 24 * HOUR, True), (7 * 24 * HOUR + 1, False)]
)
def test_an_intent_may_be_seven_days_older_than_its_last_attempt(
    asker: Asker, stripe: Stripe, before: int, *, is_found: bool
) -> None:
    """All attempts, each unknown for as long as it can be."""
    charge = _charge(attempt=1)
    stripe.charged = [_intent("processing", created=charge.asked_at - before)]
    assert (asker.look(PAYMENT, charge, NOW).answer == Processing("pi_1")) is is_found
    assert stripe.asked == [("list", "cus_1", NOW - 60 - 7 * 24 * HOUR)]


@pytest.mark.parametrize("status", [400, 402, 404, 409, None])
@pytest.mark.parametrize(
    ("saved", "naming", "reason"),
    [
        (["pm_0", "pm_1", "pm_2"], None, "refused"),
        (["pm_0", "pm_2"], None, "card_gone"),
        ([], None, "card_gone"),
        ([], StripeNotFoundError("customer"), "card_gone"),
        ([], StripeServerError(), "refused"),
        ([], BillingError("stripe_unavailable", "x"), "refused"),
        ([], NotDoneError("x"), "refused"),
    ],
    ids=str,
)
def test_a_refusal_is_the_cards_only_where_stripe_says_that_it_is_gone(  # noqa: PLR0917
    asker: Asker,
    stripe: Stripe,
    status: int | None,
    saved: list[str],
    naming: Exception | None,
    reason: Any,
) -> None:
    """What only an operator can fix comes with its refusal."""
    refusal = StripeRefusedError({"http_status": status})
    stripe.answer, stripe.naming = refusal, naming
    stripe.customers["cus_1"] = [{"id": name} for name in saved]
    error = None if reason == "card_gone" else refusal
    assert asker.send(PAYMENT, _charge(), NOW) == Word(Refused(reason), error=error)
    assert [asked for asked in stripe.asked if asked[0] != "create"] == [("cards", "cus_1")]


@pytest.mark.parametrize("where", ["answer", "naming", "listing"])
def test_a_fault_of_ours_is_no_word_of_stripes(asker: Asker, stripe: Stripe, where: str) -> None:
    """Wherever it happens."""
    if where == "naming":
        stripe.answer = StripeRefusedError({"http_status": 400})
    if where == "listing":
        stripe.answer = StripeServerError()
    setattr(stripe, where, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        asker.send(PAYMENT, _charge(), NOW)


@pytest.mark.parametrize(
    "trouble",
    [StripeServerError(), BillingError("stripe_unavailable", "x"), NotDoneError("x")],
    ids=lambda one: type(one).__name__,
)
def test_trouble_at_stripe_leaves_it_unknown_and_is_told_as_the_first_one(
    asker: Asker, stripe: Stripe, trouble: Exception
) -> None:
    """Trouble in looking says so only where there was none before."""
    stripe.answer, stripe.listing = trouble, StripeServerError("later")
    assert asker.send(PAYMENT, _charge(), NOW) == Word(Unknown(), error=trouble)
    stripe.listing = trouble
    assert asker.look(PAYMENT, _charge(), NOW) == Word(Unknown(), error=trouble)
    stripe.listing = StripeNotFoundError("customer")
    assert asker.send(PAYMENT, _charge(), NOW) == Word(NotMade(), error=trouble)
    assert asker.look(PAYMENT, _charge(), NOW) == Word(NotMade())


@pytest.mark.parametrize("trouble", [StripeServerError(), BillingError("stripe_unavailable", "x")])
def test_a_decline_that_is_seen_after_trouble_may_be_the_earlier_attempts(
    asker: Asker, stripe: Stripe, trouble: Exception
) -> None:
    """Then it is unknown, with the trouble as the reason."""
    stripe.answer, stripe.charged = trouble, [_intent("requires_payment_method")]
    charge = _charge(attempt=1, intent="pi_1")
    assert asker.send(PAYMENT, charge, NOW) == Word(Unknown(), error=trouble)
    assert asker.look(PAYMENT, charge, NOW) == Word(Unknown())


@pytest.mark.parametrize(
    ("members", "seconds", "is_known"),
    [
        ({"attempt": 1}, 23 * HOUR - 1, False),
        ({"attempt": 1}, 23 * HOUR, True),
        ({"attempt": 2}, 0, False),
        ({"attempt": 2}, 23 * HOUR, True),
        ({"attempt": 0}, 0, True),
        ({"attempt": 1, "state": "processing"}, 0, True),
    ],
)
@pytest.mark.parametrize("status", ["requires_payment_method", "requires_action"])
def test_a_decline_is_an_attempts_own_once_it_cannot_be_under_way_any_more(  # noqa: PLR0917
    asker: Asker,
    stripe: Stripe,
    status: str,
    members: dict[str, Any],
    seconds: int,
    is_known: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """A key lives for 24 hours: one less, for the difference of the clocks."""
    stripe.charged = [_intent(status)]
    charge = _charge(**{"intent": "pi_1", **members, "asked_at": NOW - seconds})
    found = asker.look(PAYMENT, charge, NOW)
    assert (found != Word(Unknown())) is is_known
    for other in ("succeeded", "processing", "canceled"):
        stripe.charged = [_intent(other)]
        assert asker.look(PAYMENT, charge, NOW).answer != Unknown()


def test_a_decline_names_the_intent_that_was_made(asker: Asker, stripe: Stripe) -> None:
    """And where Stripe names none, there is none."""
    stripe.answer = CardDeclinedError({**DECLINE, "payment_intent": {"id": "pi_9"}})
    fact = _declined("insufficient_funds")
    assert asker.send(PAYMENT, _charge(), NOW) == Word(Declined("soft", "pi_9"), fact)
    stripe.answer = CardDeclinedError({"code": "lost_card"})
    assert asker.send(PAYMENT, _charge(), NOW) == Word(Declined("hard"), _declined("lost_card"))
