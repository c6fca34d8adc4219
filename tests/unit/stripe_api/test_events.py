from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from billing.facts import DisputeFact, RefundsFact, SessionFact
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.stripe_api import objects
from billing.stripe_api.claims import Ignored
from billing.stripe_api.events import parse
from support import builders
from support.builders import OURS, metadata

PAYMENT = replace(Payment.of(catalogue()["starter"], "pay_1", "alice", ""), session_id="cs_test_1")
MAKERS = [builders.completed, builders.declined, lambda payment: builders.refunded(payment, 5)]


@pytest.mark.parametrize("make", MAKERS)
def test_an_event_of_the_other_mode_is_ignored(make: Callable[[Payment], dict[str, Any]]) -> None:
    """Test money must not buy live units, whatever the object inside says."""
    assert parse({**make(PAYMENT), "livemode": True}, OURS) == Ignored("other_mode")


def test_a_session_of_the_other_mode_is_ignored() -> None:
    """Also where it comes from the API, without an event around it."""
    session = builders.session(PAYMENT, livemode=True)
    assert objects.session(session, "confirm", OURS) == Ignored("other_mode")


@pytest.mark.parametrize("make", MAKERS)
def test_an_event_of_a_connected_account_is_ignored(
    make: Callable[[Payment], dict[str, Any]],
) -> None:
    assert parse({**make(PAYMENT), "account": "acct_other"}, OURS) == Ignored("other_account")


def test_a_stacks_name_does_not_make_a_session_ours_or_foreign() -> None:
    """A stack that was uninstalled can be taken back under another name."""
    claimed = {**metadata(PAYMENT), "stack": "somebody-else"}
    told = parse(builders.completed(PAYMENT, metadata=claimed), OURS)
    assert isinstance(told, SessionFact)
    assert not told.needs_record


@pytest.mark.parametrize("mode", ["subscription", "setup"])
def test_a_session_that_is_no_single_payment_is_ignored(mode: str) -> None:
    """Other products of the same Stripe account."""
    assert parse(builders.completed(PAYMENT, mode=mode), OURS) == Ignored("not_ours")


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({}, "paid"),
        ({"payment_status": "no_payment_required"}, "paid"),
        ({"payment_status": "unpaid"}, "unpaid"),
        (
            {
                "payment_status": "unpaid",
                "payment_intent": {"id": "pi_1", "status": "requires_payment_method"},
            },
            "async_failed",
        ),
        (
            {"payment_status": "unpaid", "payment_intent": {"id": "pi_1", "status": "processing"}},
            "unpaid",
        ),
        ({"payment_status": "unpaid", "status": "expired", "payment_intent": None}, "expired"),
    ],
)
def test_a_session_from_the_api_says_what_its_events_would(
    members: dict[str, Any], kind: str
) -> None:
    """Confirm, recovery and reconciliation settle by the same facts."""
    found = objects.session(builders.session(PAYMENT, **members), "confirm", OURS)
    assert isinstance(found, SessionFact)
    assert found.kind == kind


ODD = {
    "half of a character": "cs_\ud800",
    "more than a key holds": "cs_" + "x" * 3_000,
    "not ASCII": "cs_\u00e9",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
@pytest.mark.parametrize(
    "place",
    [
        ("id",),
        ("data", "object", "id"),
        ("data", "object", "payment_intent"),
        ("data", "object", "currency"),
    ],
)
@pytest.mark.parametrize(
    "make", [builders.completed, lambda payment: builders.refunded(payment, 5)]
)
def test_an_id_that_no_table_could_hold_is_unreadable(
    make: Callable[[Payment], dict[str, Any]], place: tuple[str, ...], odd: str
) -> None:
    """Answered 200 and counted: no repetition would make it readable."""
    event = make(PAYMENT)
    inner = event
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = odd
    assert parse(event, OURS) == Ignored("unreadable")


@pytest.mark.parametrize("claim", ["payment_id", "user_id", "plan"])
@pytest.mark.parametrize("odd", ["\ud800", "x" * 256])
def test_metadata_that_we_cannot_have_written_is_not_ours(claim: str, odd: str) -> None:
    """A user's id may be of any script, and no longer than a token's."""
    assert parse(
        builders.completed(PAYMENT, metadata={**metadata(PAYMENT), claim: odd}), OURS
    ) == Ignored("not_ours")
    assert isinstance(
        parse(
            builders.completed(PAYMENT, metadata={**metadata(PAYMENT), "user_id": "\u738b" * 255}),
            OURS,
        ),
        SessionFact,
    )


def test_a_decline_whose_code_is_odd_is_a_decline_all_the_same() -> None:
    event = builders.declined(PAYMENT)
    event["data"]["object"]["last_payment_error"] = {"code": "\ud800"}
    assert getattr(parse(event, OURS), "failure_code", "") == "payment_failed"


@pytest.mark.parametrize("make", [builders.completed, builders.async_succeeded])
@pytest.mark.parametrize("status", ["settling", "PAID", "", None, True])
def test_a_payment_status_that_we_do_not_know_is_not_taken_for_paid(
    make: Callable[[Payment], dict[str, Any]], status: object
) -> None:
    """A newer shape that we cannot read: ignored and counted, not credited."""
    event = make(PAYMENT)
    event["data"]["object"]["payment_status"] = status
    assert parse(event, OURS) == Ignored("unreadable")


def test_a_session_that_is_unpaid_is_not_taken_for_a_success() -> None:
    """Whatever the event is called: ``unpaid`` belongs to a session that was completed only."""
    event = builders.async_succeeded(PAYMENT)
    event["data"]["object"]["payment_status"] = "unpaid"
    assert parse(event, OURS) == Ignored("unreadable")


KINDS = ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", ["reversed", "", None, 5])
def test_a_refund_in_a_state_that_we_do_not_know_changes_nothing(kind: str, status: object) -> None:
    """``charge.refunded`` tells what stands, in all."""
    subject = builders.refund(PAYMENT, "re_1", 500)["data"]["object"] | {"status": status}
    assert parse(builders.event(kind, subject), OURS) == Ignored("not_of_interest")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", ["pending", "requires_action", "succeeded"])
def test_a_refund_that_stands_is_known_by_its_id(kind: str, status: str) -> None:
    """https://docs.stripe.com/api/refunds/object#refund_object-status."""
    found = parse(builders.refund(PAYMENT, "re_1", 500, status, kind), OURS)
    assert isinstance(found, RefundsFact)
    assert (found.failed, found.standing, found.refunded_minor) == ({}, {"re_1": 500}, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", ["failed", "canceled"])
def test_a_refund_that_failed_or_was_canceled_is_known_by_its_id(kind: str, status: str) -> None:
    """Under any of the names that Stripe has for the event."""
    found = parse(builders.refund(PAYMENT, "re_1", 500, status, kind), OURS)
    assert isinstance(found, RefundsFact)
    assert (found.failed, found.standing, found.refunded_minor) == ({"re_1": 500}, {}, 0)


REVERSALS: list[Callable[[Payment], dict[str, Any]]] = [
    lambda payment: builders.refund(payment, "re_1", 500),
    lambda payment: builders.refund(payment, "re_1", 500, "canceled"),
    lambda payment: builders.refund(payment, "re_1", 500, "pending", "refund.created"),
    lambda payment: builders.dispute(payment, "created", "needs_response"),
]


@pytest.mark.parametrize("make", REVERSALS)
@pytest.mark.parametrize("empty", [None, "", {}])
def test_a_reversal_without_intent_and_charge_is_not_ours(
    make: Callable[[Payment], dict[str, Any]], empty: object
) -> None:
    """Stripe's object may have neither: nothing of ours can be found by it, now or later, and
    no operator has to look at it.
    """
    event = make(PAYMENT)
    event["data"]["object"] |= {"payment_intent": empty, "charge": empty}
    assert parse(event, OURS) == Ignored("not_ours")


@pytest.mark.parametrize("make", REVERSALS)
@pytest.mark.parametrize("missing", ["payment_intent", "charge"])
def test_a_reversal_that_names_one_of_them_is_found_by_that(
    make: Callable[[Payment], dict[str, Any]], missing: str
) -> None:
    """Stripe is asked for the rest."""
    event = make(PAYMENT)
    event["data"]["object"][missing] = None
    found = parse(event, OURS)
    assert isinstance(found, RefundsFact | DisputeFact)
    assert (found.payment_intent, found.charge).count(None) == 1


def test_the_buyers_own_currency_changes_nothing() -> None:
    """Adaptive Pricing: the buyer saw and paid 429.73 hryvnias, the session is of ours in dollars.

    https://docs.stripe.com/changelog/basil/2025-03-31/add_presentment_details
    """
    shown: dict[str, Any] = {
        "presentment_details": {"presentment_amount": 42973, "presentment_currency": "uah"},
        "currency_conversion": None,
    }
    found = parse(builders.completed(PAYMENT, **shown), OURS)
    assert isinstance(found, SessionFact)
    assert (found.currency, found.amount_subtotal, found.amount_total) == ("usd", 999, 999)
    for event in (builders.refunded(PAYMENT, 500), *(make(PAYMENT) for make in REVERSALS)):
        event["data"]["object"] |= shown
        told = parse(event, OURS)
        assert not isinstance(told, Ignored | SessionFact)
        assert told.currency == "usd"  # type: ignore[union-attr]


@pytest.mark.parametrize("rows", [[], None, "missing"])
def test_a_dispute_without_a_list_of_transactions_has_none(rows: list[object] | str | None) -> None:
    """It is no reason not to read what else it says."""
    event = builders.dispute(PAYMENT, "created", "needs_response")
    if rows == "missing":
        del event["data"]["object"]["balance_transactions"]
    else:
        event["data"]["object"]["balance_transactions"] = rows
    told = parse(event, OURS)
    assert isinstance(told, DisputeFact)
    assert told.transactions == {}


def _changed(event: dict[str, Any], name: str, value: object) -> dict[str, Any]:
    event["data"]["object"][name] = value
    return event


@pytest.mark.parametrize(
    ("make", "name", "least"),
    [
        (builders.completed, "amount_total", 0),
        (builders.completed, "amount_subtotal", 0),
        (lambda payment: builders.refunded(payment, 5), "amount_refunded", 0),
        (lambda payment: builders.refund(payment, "re_1", 5), "amount", 0),
        (lambda payment: builders.dispute(payment, "created", "lost"), "amount", 0),
    ],
)
def test_an_amount_is_never_below_nothing(
    make: Callable[[Payment], dict[str, Any]], name: str, least: int
) -> None:
    """Stripe's own are not; what is cannot be read, and is told of."""
    assert not isinstance(parse(_changed(make(PAYMENT), name, least), OURS), Ignored)
    found = parse(_changed(make(PAYMENT), name, least - 1), OURS)
    assert found == Ignored("unreadable")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (builders.completed, "id"),
        (builders.completed, "currency"),
        (lambda payment: builders.refund(payment, "re_1", 5), "id"),
        (lambda payment: builders.dispute(payment, "created", "lost"), "id"),
        (lambda payment: builders.dispute(payment, "created", "lost"), "status"),
    ],
)
def test_a_text_of_stripes_has_1_to_255_letters_of_ascii(
    make: Callable[[Payment], dict[str, Any]], name: str
) -> None:
    """No more fits into a key of ours, and an empty one names nothing."""
    for good in ("x", "x" * 255):
        assert not isinstance(parse(_changed(make(PAYMENT), name, good), OURS), Ignored)
    for bad in ("", "x" * 256, "ü"):
        assert parse(_changed(make(PAYMENT), name, bad), OURS) == Ignored("unreadable")


@pytest.mark.parametrize("member", ["payment_id", "user_id", "plan"])
def test_a_claim_has_1_to_255_letters(member: str) -> None:
    """Of any alphabet, but no half of a letter: DynamoDB could not hold it."""
    for good in ("x", "x" * 255, "ü"):
        told = parse(
            builders.completed(PAYMENT, metadata={**metadata(PAYMENT), member: good}), OURS
        )
        assert getattr(told, member) == good
    for bad in ("", "x" * 256, "\ud800", None, 5):
        event = builders.completed(PAYMENT, metadata={**metadata(PAYMENT), member: bad})
        assert parse(event, OURS) == Ignored("not_ours")


@pytest.mark.parametrize(
    ("text", "units"),
    [("1", 1), ("9" * 10, 9_999_999_999), ("9" * 11, None), ("-5", None), ("1.5", None)]
    + [(text, None) for text in ("", " 5", "²", "\u0665", "5_0")],
)
def test_the_units_of_a_claim_are_up_to_ten_digits(text: str, units: int | None) -> None:
    """As checkout wrote them, and no other program."""
    told = parse(builders.completed(PAYMENT, metadata={**metadata(PAYMENT), "quota": text}), OURS)
    assert getattr(told, "quota", None) == units
    assert isinstance(told, Ignored) is (units is None)
