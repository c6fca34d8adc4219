"""What is read from each object of Stripe's, to the last member."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from billing.facts import DeclinedFact, DisputeFact, RefundsFact, SessionFact
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.stripe_api import objects
from billing.stripe_api.claims import Ignored
from billing.stripe_api.events import parse
from support import builders
from support.builders import OURS

PAYMENT: Final = replace(
    Payment.of(catalogue()["starter"], "pay_7", "alice", ""),
    session_id="cs_test_7",
    expires_after_days=30,
)
ORIGIN: Final[dict[str, Any]] = {"fact_id": "evt_7", "created": 1767323100}


def _event(made: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The same event, with an id and a time that can be named."""
    subject = {**made["data"]["object"], **members}
    return {**made, "id": "evt_7", "created": 1767323100, "data": {"object": subject}}


def _sold(kind: Any, name: str, **members: Any) -> SessionFact:
    whole: dict[str, Any] = {
        "kind": kind,
        "type": name,
        "session_id": "cs_test_7",
        "payment_id": "pay_7",
        "user_id": "alice",
        "plan": "starter",
        "quota": 100,
        "amount_subtotal": 999,
        "amount_total": 899,
        "currency": "usd",
        "payment_intent": "pi_7",
        "expires_after_days": 30,
        "needs_record": False,
    }
    return SessionFact(**{**ORIGIN, **whole, **members})


SESSIONS: Final[list[tuple[Callable[[Payment], dict[str, Any]], SessionFact]]] = [
    (builders.completed, _sold("paid", "checkout.session.completed")),
    (builders.completed_unpaid, _sold("unpaid", "checkout.session.completed")),
    (builders.async_succeeded, _sold("paid", "checkout.session.async_payment_succeeded")),
    (builders.async_failed, _sold("async_failed", "checkout.session.async_payment_failed")),
    (builders.expired, _sold("expired", "checkout.session.expired", payment_intent=None)),
]


@pytest.mark.parametrize(("make", "whole"), SESSIONS, ids=lambda one: getattr(one, "type", ""))
def test_a_sessions_event_is_read_whole(
    make: Callable[[Payment], dict[str, Any]], whole: SessionFact
) -> None:
    assert parse(_event(make(PAYMENT), amount_total=899), OURS) == whole


CHARGES: Final = [
    ("succeeded", "paid", 899),
    ("processing", "unpaid", 0),
    ("canceled", "async_failed", 0),
]


@pytest.mark.parametrize(("status", "kind", "received"), CHARGES)
def test_an_automatic_charges_event_is_read_whole(status: str, kind: Any, received: int) -> None:
    event = _event(builders.intent_event(PAYMENT, status), amount_received=received)
    name = f"payment_intent.{status}"
    whole = _sold(kind, name, session_id="", amount_total=received)
    assert parse(event, OURS) == whole


@pytest.mark.parametrize(("status", "kind", "received"), CHARGES)
def test_an_automatic_charge_in_a_list_is_read_whole(status: str, kind: Any, received: int) -> None:
    intent = builders.intent(PAYMENT, status, amount_received=received)
    source: dict[str, Any] = {
        "fact_id": "reconcile:pi_7",
        "type": "reconcile",
        "created": 1767323045,
    }
    whole = replace(_sold(kind, "", session_id="", amount_total=received), **source)
    assert objects.purchase(intent, "reconcile", OURS) == whole


def test_a_decline_is_read_whole() -> None:
    event = _event(builders.declined(PAYMENT, "card_declined", "insufficient_funds"))
    assert parse(event, OURS) == DeclinedFact(
        **ORIGIN,
        type="payment_intent.payment_failed",
        payment_id="pay_7",
        user_id="alice",
        failure_code="insufficient_funds",
        needs_record=False,
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": "expired_card"}, "expired_card"),
        ({"code": "expired_card", "decline_code": "expired_card_at_issuer"}, "expired_card"),
        ({"code": "card_declined"}, "card_declined"),
        ({"code": "card_declined", "decline_code": "do_not_honor"}, "do_not_honor"),
        ({"code": "card_declined", "decline_code": "x" * 255}, "x" * 255),
        ({"code": "card_declined", "decline_code": "x" * 256}, "card_declined"),
        ({"code": "card_declined", "decline_code": ""}, "card_declined"),
        ({"code": "card_declined", "decline_code": 5}, "card_declined"),
        ({"code": "x" * 255}, "x" * 255),
        ({"code": "x" * 256}, "payment_failed"),
        ({"code": ""}, "payment_failed"),
        ({"code": None}, "payment_failed"),
        ({"code": 5, "decline_code": "do_not_honor"}, "payment_failed"),
        ({"decline_code": "do_not_honor"}, "payment_failed"),
        ({}, "payment_failed"),
        (None, "payment_failed"),
        ("card_declined", "payment_failed"),
    ],
)
def test_the_reason_of_a_decline_is_the_issuers_where_stripe_says_only_declined(
    error: object, code: str
) -> None:
    """https://docs.stripe.com/declines/codes."""
    found = parse(_event(builders.declined(PAYMENT), last_payment_error=error), OURS)
    assert isinstance(found, DeclinedFact)
    assert found.failure_code == code


def test_a_charges_refund_event_is_read_whole() -> None:
    listed = [
        {"id": "re_1", "amount": 200, "status": "succeeded"},
        {"id": "re_2", "amount": 300, "status": "failed"},
        {"id": "re_3", "amount": 50, "status": "pending"},
        {"id": "re_4", "amount": 70, "status": "of a later version"},
        "re_5",
    ]
    made = builders.refunded(PAYMENT, 250)
    assert parse(_event(made, refunds={"data": listed}), OURS) == RefundsFact(
        **ORIGIN,
        type="charge.refunded",
        payment_intent="pi_7",
        charge="ch_7",
        currency="usd",
        refunded_minor=250,
        standing={"re_1": 200, "re_3": 50},
        failed={"re_2": 300},
        needs_record=False,
        payment_id="pay_7",
        user_id="alice",
    )


@pytest.mark.parametrize("listed", [None, [], {"data": None}, {}, "re_1", {"data": "re_1"}])
def test_a_charge_without_a_list_of_refunds_has_its_figure_alone(listed: object) -> None:
    """Newer versions of the API leave the list out."""
    found = parse(_event(builders.refunded(PAYMENT, 250), refunds=listed), OURS)
    assert isinstance(found, RefundsFact)
    assert (found.refunded_minor, found.standing, found.failed) == (250, {}, {})


def test_a_charge_without_our_metadata_needs_our_record() -> None:
    """A seller can edit a charge's metadata."""
    found = parse(_event(builders.refunded(PAYMENT, 250), metadata={}), OURS)
    assert isinstance(found, RefundsFact)
    assert (found.needs_record, found.payment_id, found.user_id) == (True, "", "")
    old = parse(
        _event(builders.refunded(PAYMENT, 250), metadata=builders.old_metadata(PAYMENT)), OURS
    )
    assert isinstance(old, RefundsFact)
    assert (old.needs_record, old.payment_id, old.user_id) == (True, "pay_7", "alice")


def test_a_charge_of_another_deployment_is_not_ours() -> None:
    other = {**builders.metadata(PAYMENT), "deployment": "dep_other"}
    found = parse(_event(builders.refunded(PAYMENT, 250), metadata=other), OURS)
    assert found == Ignored("other_deployment")


@pytest.mark.parametrize("intent", [None, "py_7", "", 5])
def test_a_charge_that_no_payment_intent_made_is_not_ours(intent: object) -> None:
    """Checkout in payment mode always makes one."""
    found = parse(_event(builders.refunded(PAYMENT, 250), payment_intent=intent), OURS)
    assert found == Ignored("not_ours")


@pytest.mark.parametrize(
    ("status", "standing", "failed"),
    [("succeeded", {"re_7": 500}, {}), ("canceled", {}, {"re_7": 500})],
)
def test_a_refunds_event_is_read_whole(
    status: str, standing: dict[str, int], failed: dict[str, int]
) -> None:
    made = builders.refund(PAYMENT, "re_7", 500, status)
    assert parse(_event(made), OURS) == RefundsFact(
        **ORIGIN,
        type="refund.updated",
        payment_intent="pi_7",
        charge="ch_7",
        currency="usd",
        refunded_minor=0,
        standing=standing,
        failed=failed,
        needs_record=False,
        payment_id="",
        user_id="",
    )


def test_the_refunds_of_a_payment_are_read_whole() -> None:
    """From the list that Stripe's API answers with: the latest one's time is the fact's."""
    rows: list[dict[str, Any]] = [
        {"id": "re_1", "amount": 100, "currency": "eur", "status": "succeeded", "created": 5},
        {"id": "re_2", "amount": 200, "currency": "eur", "status": "failed", "created": 9},
        {"id": "re_3", "amount": 300, "currency": "eur", "status": "canceled", "created": 7},
        {"id": "re_4", "amount": 400, "currency": "eur", "status": "requires_action", "created": 6},
    ]
    assert objects.refunds("pi_7", "usd", iter(rows), "recover") == RefundsFact(
        fact_id="recover:pi_7",
        type="recover",
        created=9,
        payment_intent="pi_7",
        charge=None,
        currency="eur",
        refunded_minor=0,
        standing={"re_1": 100, "re_4": 400},
        failed={"re_2": 200, "re_3": 300},
    )
    none = objects.refunds("pi_7", "usd", iter([]), "recover")
    assert (none.created, none.currency, none.standing, none.failed) == (0, "usd", {}, {})


def _disputed(name: str, **members: Any) -> DisputeFact:
    whole: dict[str, Any] = {
        "type": name,
        "payment_intent": "pi_7",
        "charge": "ch_7",
        "currency": "usd",
        "dispute_id": "du_7",
        "amount": 700,
        "opened": False,
        "closed": "",
        "transactions": {},
        "converted": False,
    }
    return DisputeFact(**{**ORIGIN, **whole, **members})


ROWS: Final = [
    {"id": "txn_1", "amount": -700, "currency": "usd"},
    {"id": "txn_2", "amount": 700, "currency": "usd"},
]
DISPUTES: Final[list[tuple[str, dict[str, Any], dict[str, Any]]]] = [
    ("created", {"status": "needs_response"}, {"opened": True}),
    ("created", {"status": "warning_needs_response"}, {}),
    ("created", {"status": "prevented"}, {"closed": "prevented"}),
    ("created", {"status": "won"}, {"opened": True, "closed": "won"}),
    ("updated", {"status": "under_review"}, {}),
    ("closed", {"status": "won"}, {"closed": "won"}),
    ("closed", {"status": "lost"}, {"closed": "lost"}),
    ("closed", {"status": "warning_closed"}, {"closed": "warning_closed"}),
    ("closed", {"status": "prevented"}, {"closed": "prevented"}),
    (
        "funds_reinstated",
        {"status": "won", "balance_transactions": ROWS},
        {"closed": "won", "transactions": {"txn_1": -700, "txn_2": 700}},
    ),
    (
        "funds_withdrawn",
        {
            "status": "needs_response",
            "balance_transactions": [ROWS[0], {**ROWS[1], "currency": "eur"}],
        },
        {"transactions": {"txn_1": -700, "txn_2": 700}, "converted": True},
    ),
]


@pytest.mark.parametrize(("name", "shown", "members"), DISPUTES)
def test_a_disputes_event_is_read_whole(
    name: str, shown: dict[str, Any], members: dict[str, Any]
) -> None:
    """Of all states only these close it: https://docs.stripe.com/api/disputes/object."""
    made = builders.dispute(PAYMENT, name, "", dispute_id="du_7", amount=700)
    whole = _disputed(f"charge.dispute.{name}", **members)
    assert parse(_event(made, **shown), OURS) == whole


def test_a_dispute_in_a_list_is_read_whole_and_may_open_it() -> None:
    """The API's own answer is as good as the event that creates it."""
    made = builders.dispute(PAYMENT, "updated", "needs_response", dispute_id="du_7", amount=700)
    found = {**made["data"]["object"], "created": 1767323047}
    source: dict[str, Any] = {
        "fact_id": "reconcile:du_7",
        "type": "reconcile",
        "created": 1767323047,
    }
    assert objects.dispute(found, "reconcile") == replace(_disputed("", opened=True), **source)
