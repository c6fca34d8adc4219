"""The event table of the contract, line by line, on the stand: what each of Stripe's events does to
payment and quota.
"""

import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from support.stand import Stand


@pytest.fixture
def buyer() -> str:
    """A user of this test alone."""
    return f"buyer-{uuid.uuid4().hex[:8]}"


def _units(stand: Stand, buyer: str) -> tuple[int, int]:
    quota = stand.quota(buyer)
    return quota["remaining"], quota["debt"]


def _paid(stand: Stand, buyer: str, plan: str = "starter") -> tuple[dict[str, Any], Any]:
    bought = stand.purchase(buyer, plan)
    session = stand.stripe.v1.checkout.sessions.retrieve(
        bought["session_id"], {"expand": ["payment_intent"]}
    )
    return bought, session.payment_intent


def _until_status(stand: Stand, buyer: str, payment_id: str, status: str) -> dict[str, Any]:
    stand.control("idle")
    stand.until(lambda: stand.payment(buyer, payment_id)["status"] == status)
    return stand.payment(buyer, payment_id)


def test_a_paid_session_completes_the_payment_and_credits_the_plans_units(
    stand: Stand, buyer: str
) -> None:
    bought = stand.purchase(buyer, "pro")
    payment = stand.payment(buyer, bought["session_id"])
    assert payment["status"] == "completed"
    assert payment["completed_at"]
    assert stand.quota(buyer) | {"updated_at": None} == {
        "user_id": buyer,
        "total": 1000,
        "used": 0,
        "held": 0,
        "remaining": 1000,
        "debt": 0,
        "expires_next": None,
        "updated_at": None,
    }
    (entry,) = stand.call("GET", "/quota/ledger", sub=buyer).json()["entries"]
    assert (entry["type"], entry["units"], entry["balance_after"]) == ("funded", 1000, 1000)
    assert (entry["reference_type"], entry["reference_id"]) == ("payment", bought["session_id"])


def test_an_unpaid_completed_session_is_processing_and_credits_nothing(
    stand: Stand, buyer: str
) -> None:
    """checkout.session.completed, unpaid; then async_payment_succeeded credits."""
    bought = stand.buy(buyer)
    stand.pay(bought["session_id"], "delayed")
    _until_status(stand, buyer, bought["payment_id"], "processing")
    assert _units(stand, buyer) == (0, 0)
    stand.control(f"sessions/{bought['session_id']}/settle", outcome="succeeded")
    _until_status(stand, buyer, bought["payment_id"], "completed")
    assert _units(stand, buyer) == (100, 0)


def test_a_delayed_payment_that_fails_credits_nothing(stand: Stand, buyer: str) -> None:
    bought = stand.buy(buyer)
    stand.pay(bought["session_id"], "delayed")
    stand.control(f"sessions/{bought['session_id']}/settle", outcome="failed")
    payment = _until_status(stand, buyer, bought["payment_id"], "failed")
    assert payment["completed_at"] is None
    assert _units(stand, buyer) == (0, 0)


def test_an_expired_session_expires_the_payment_unless_it_is_completed(
    stand: Stand, buyer: str
) -> None:
    abandoned = stand.buy(buyer)
    stand.control(f"sessions/{abandoned['session_id']}/expire")
    _until_status(stand, buyer, abandoned["payment_id"], "expired")
    bought = stand.purchase(buyer)
    (event,) = stand.events("checkout.session.completed", bought["session_id"])
    late = {**event, "id": "evt_late_" + buyer, "type": "checkout.session.expired"}
    assert stand.deliver(late).json()["status"] in ("recorded", "duplicate")
    assert stand.payment(buyer, bought["payment_id"])["status"] == "completed"
    assert _units(stand, buyer) == (100, 0)


def test_a_declined_card_fails_the_payment_and_a_later_success_completes_it(
    stand: Stand, buyer: str
) -> None:
    """payment_intent.payment_failed: the buyer may retry in the same session."""
    bought = stand.buy(buyer)
    stand.pay(bought["session_id"], "declined")
    assert (
        _until_status(stand, buyer, bought["payment_id"], "failed")["failure_code"]
        == "generic_decline"
    )
    assert _units(stand, buyer) == (0, 0)
    stand.pay(bought["session_id"])
    assert _until_status(stand, buyer, bought["payment_id"], "completed")["failure_code"] is None
    (late,) = stand.events("payment_intent.payment_failed", bought["payment_id"])
    stand.deliver(late)
    assert stand.payment(buyer, bought["payment_id"])["status"] == "completed"
    assert _units(stand, buyer) == (100, 0)


def test_partial_refunds_take_back_in_proportion_and_the_last_takes_all(
    stand: Stand, buyer: str
) -> None:
    """charge.refunded: units * refunded // paid in all."""
    bought, intent = _paid(stand, buyer)
    stand.stripe.v1.refunds.create({"payment_intent": intent.id, "amount": 333})
    payment = _until_status(stand, buyer, bought["payment_id"], "partially_refunded")
    assert (payment["refunded_minor"], payment["units_clawed_back"]) == (333, 100 * 333 // 999)
    assert _units(stand, buyer) == (67, 0)
    stand.stripe.v1.refunds.create({"payment_intent": intent.id})
    payment = _until_status(stand, buyer, bought["payment_id"], "refunded")
    assert (payment["refunded_minor"], payment["units_clawed_back"]) == (999, 100)
    assert _units(stand, buyer) == (0, 0)
    types = [
        entry["type"] for entry in stand.call("GET", "/quota/ledger", sub=buyer).json()["entries"]
    ]
    assert types == ["clawed_back", "clawed_back", "funded"]


def test_a_refund_of_used_units_leaves_a_debt_that_the_next_purchase_pays(
    stand: Stand, buyer: str
) -> None:
    bought, intent = _paid(stand, buyer)
    assert (
        stand.call(
            "POST",
            "/quota/debits",
            sub="backend",
            scope="quota.write",
            body={"user_id": buyer, "units": 60},
        ).status_code
        == 200
    )
    stand.stripe.v1.refunds.create({"payment_intent": intent.id})
    _until_status(stand, buyer, bought["payment_id"], "refunded")
    assert _units(stand, buyer) == (0, 60)
    stand.purchase(buyer)
    assert _units(stand, buyer) == (40, 0)


def test_a_refund_that_fails_afterwards_gives_the_units_back(stand: Stand, buyer: str) -> None:
    bought, intent = _paid(stand, buyer)
    refund = stand.stripe.v1.refunds.create({"payment_intent": intent.id})
    _until_status(stand, buyer, bought["payment_id"], "refunded")
    stand.control(f"refunds/{refund.id}/fail")
    payment = _until_status(stand, buyer, bought["payment_id"], "completed")
    assert (payment["refunded_minor"], payment["units_clawed_back"]) == (0, 0)
    assert _units(stand, buyer) == (100, 0)


def test_a_refund_made_again_after_it_failed_takes_the_units_back(stand: Stand, buyer: str) -> None:
    """refund.created: Stripe's cumulative figure is what it was before the failure."""
    bought, intent = _paid(stand, buyer)
    refund = stand.stripe.v1.refunds.create({"payment_intent": intent.id})
    _until_status(stand, buyer, bought["payment_id"], "refunded")
    stand.control(f"refunds/{refund.id}/fail")
    _until_status(stand, buyer, bought["payment_id"], "completed")
    stand.stripe.v1.refunds.create({"payment_intent": intent.id})
    payment = _until_status(stand, buyer, bought["payment_id"], "refunded")
    assert (payment["refunded_minor"], payment["units_clawed_back"]) == (999, 100)
    assert _units(stand, buyer) == (0, 0)


def test_a_canceled_refund_gives_the_units_back(stand: Stand, buyer: str) -> None:
    """refund.updated to canceled, of a refund that waited for the customer."""
    bought = stand.buy(buyer)
    stand.pay(bought["session_id"], "delayed")
    stand.control(f"sessions/{bought['session_id']}/settle", outcome="succeeded")
    _until_status(stand, buyer, bought["payment_id"], "completed")
    session = stand.stripe.v1.checkout.sessions.retrieve(bought["session_id"])
    refund = stand.stripe.v1.refunds.create(
        {
            "payment_intent": str(session.payment_intent),
            "amount": 500,
            "instructions_email": "jenny@example.com",
        }
    )
    _until_status(stand, buyer, bought["payment_id"], "partially_refunded")
    stand.stripe.v1.refunds.cancel(refund.id)
    _until_status(stand, buyer, bought["payment_id"], "completed")
    assert _units(stand, buyer) == (100, 0)


def test_an_inquiry_changes_nothing(stand: Stand, buyer: str) -> None:
    """charge.dispute.created and .closed with warning states: no money has moved."""
    bought, intent = _paid(stand, buyer)
    dispute = stand.control(f"charges/{intent.latest_charge}/dispute", kind="inquiry")
    stand.control("idle")
    stand.control(f"disputes/{dispute['id']}/close", status="warning_closed")
    stand.control("idle")
    assert stand.payment(buyer, bought["payment_id"])["status"] == "completed"
    assert _units(stand, buyer) == (100, 0)


def test_a_dispute_takes_back_what_is_out_and_a_won_one_gives_it_back(
    stand: Stand, buyer: str
) -> None:
    bought, intent = _paid(stand, buyer)
    dispute = stand.control(f"charges/{intent.latest_charge}/dispute", amount=333)
    payment = _until_status(stand, buyer, bought["payment_id"], "disputed")
    stand.until(lambda: stand.quota(buyer)["remaining"] == 67)
    assert payment["refunded_minor"] == 0
    stand.control(f"disputes/{dispute['id']}/reinstate", amount=333)
    stand.control(f"disputes/{dispute['id']}/close", status="won")
    _until_status(stand, buyer, bought["payment_id"], "completed")
    assert _units(stand, buyer) == (100, 0)


@pytest.mark.parametrize(
    ("amount", "status", "left"), [(999, "refunded", 0), (500, "partially_refunded", 50)]
)
def test_a_lost_dispute_stays_clawed_back(
    stand: Stand, buyer: str, amount: int, status: str, left: int
) -> None:
    """Closed lost: refunded, or partially_refunded if only part was disputed."""
    bought, intent = _paid(stand, buyer)
    dispute = stand.control(f"charges/{intent.latest_charge}/dispute", amount=amount)
    stand.control(f"disputes/{dispute['id']}/close", status="lost")
    _until_status(stand, buyer, bought["payment_id"], status)
    assert _units(stand, buyer) == (left, 0)


def test_a_dispute_that_is_only_announced_is_disputed_and_keeps_the_units(
    stand: Stand, buyer: str
) -> None:
    """charge.dispute.created before any money has moved."""
    bought, intent = _paid(stand, buyer)
    stand.control(f"charges/{intent.latest_charge}/dispute", withdraw=False)
    _until_status(stand, buyer, bought["payment_id"], "disputed")
    assert _units(stand, buyer) == (100, 0)


def test_events_of_other_modes_accounts_and_products_are_ignored(stand: Stand, buyer: str) -> None:
    """livemode, account, not our metadata, subscriptions, other types: 200, nothing moves."""
    bought = stand.buy(buyer)
    stand.control("deliveries", pause=True)
    try:
        stand.control(f"sessions/{bought['session_id']}/pay", method="card")
        (event,) = stand.events("checkout.session.completed", bought["session_id"])
        session = event["data"]["object"]
        foreign = [
            {**event, "livemode": True},
            {**event, "account": "acct_1"},
            {**event, "type": "customer.created"},
            {**event, "data": {"object": {**session, "metadata": {}}}},
            {
                **event,
                "data": {
                    "object": {
                        **session,
                        "metadata": {"payment_id": "pay_1", "user_id": buyer, "package": "x"},
                    }
                },
            },
            {**event, "data": {"object": {**session, "mode": "subscription"}}},
            {
                "id": "evt_thin",
                "object": "v2.core.event",
                "type": "v1.charge.refunded",
                "livemode": False,
            },
        ]
        answers = [stand.deliver(other) for other in foreign]
        assert [(answer.status_code, answer.json()) for answer in answers] == [
            (200, {"status": "ignored"})
        ] * len(foreign)
        assert _units(stand, buyer) == (0, 0)
    finally:
        stand.control("deliveries", pause=False)
    _until_status(stand, buyer, bought["payment_id"], "completed")


def test_a_session_whose_amount_or_currency_does_not_match_is_parked_not_credited(
    stand: Stand, buyer: str
) -> None:
    """For an operator: the buyer paid something else than was asked."""
    bought = stand.buy(buyer)
    stand.control("deliveries", drop=1)
    stand.control(f"sessions/{bought['session_id']}/pay", method="card")
    stand.control("deliveries", drop=0)
    (event,) = stand.events("checkout.session.completed", bought["session_id"])
    wrongs: list[dict[str, Any]] = [{"amount_subtotal": 998}, {"currency": "eur"}]
    for number, wrong in enumerate(wrongs):
        forged = {
            **event,
            "id": f"evt_{buyer}_{number}",
            "data": {"object": {**event["data"]["object"], **wrong}},
        }
        assert stand.deliver(forged).json() == {"status": "parked"}
    assert _units(stand, buyer) == (0, 0)
    assert stand.deliver(event).json() == {"status": "settled"}
    assert _units(stand, buyer) == (100, 0)


def test_a_refund_ahead_of_its_payment_is_parked_and_applied_when_that_arrives(
    stand: Stand, buyer: str
) -> None:
    """A fact that arrives before what it refers to."""
    bought = stand.buy(buyer)
    stand.control("deliveries", drop=1)
    stand.control(f"sessions/{bought['session_id']}/pay", method="card")
    session = stand.stripe.v1.checkout.sessions.retrieve(bought["session_id"])
    stand.stripe.v1.refunds.create({"payment_intent": str(session.payment_intent), "amount": 500})
    stand.control("deliveries", drop=0)
    (refunded,) = stand.events("charge.refunded", str(session.payment_intent))
    assert stand.deliver(refunded).json() == {"status": "parked"}
    (completed,) = stand.events("checkout.session.completed", bought["session_id"])
    assert stand.deliver(completed).json() == {"status": "settled"}
    assert stand.payment(buyer, bought["payment_id"])["units_clawed_back"] == 50
    assert _units(stand, buyer) == (50, 0)


def test_the_same_purchase_is_credited_once_over_both_endpoints_and_under_two_event_ids(
    stand: Stand, buyer: str
) -> None:
    """Duplicates by id, by twin event, by endpoint, by confirm."""
    bought = stand.purchase(buyer)
    (event,) = stand.events("checkout.session.completed", bought["session_id"])
    assert stand.deliver(event).json() == {"status": "duplicate"}
    assert stand.deliver({**event, "id": f"evt_twin_{buyer}"}).json() == {"status": "duplicate"}
    assert stand.deliver_to_function_url(event).json() == {"status": "duplicate"}
    assert (
        stand.call("POST", f"/payments/{bought['session_id']}/confirm", sub=buyer).json()["status"]
        == "completed"
    )
    assert _units(stand, buyer) == (100, 0)


def test_confirm_credits_a_purchase_whose_webhook_is_late(stand: Stand, buyer: str) -> None:
    """What the success page calls; the webhook after it is a duplicate."""
    bought = stand.buy(buyer)
    stand.control("deliveries", pause=True)
    try:
        stand.control(f"sessions/{bought['session_id']}/pay", method="card")
        assert (
            stand.call("POST", f"/payments/{bought['session_id']}/confirm", sub=buyer).json()[
                "status"
            ]
            == "completed"
        )
        assert _units(stand, buyer) == (100, 0)
    finally:
        stand.control("deliveries", pause=False)
    stand.control("idle")
    assert _units(stand, buyer) == (100, 0)


def test_a_purchase_whose_every_webhook_was_dropped_is_credited_once_by_reconciliation(
    stand: Stand, buyer: str
) -> None:
    bought = stand.buy(buyer)
    stand.control("deliveries", drop=1)
    stand.control(f"sessions/{bought['session_id']}/pay", method="card")
    stand.control("deliveries", drop=0)
    looked = stand.invoke("ReconcileFunction", {"since_hours": 1, "repair": False})
    assert any(
        row["kind"] == "missing_here" and row["stripe_id"] == bought["session_id"]
        for row in looked["differences"]
    )
    assert _units(stand, buyer) == (0, 0)
    report = stand.invoke("ReconcileFunction", {"since_hours": 1})
    assert report["finished"]
    assert any(
        row["repaired"] and row["stripe_id"] == bought["session_id"]
        for row in report["differences"]
    )
    assert _units(stand, buyer) == (100, 0)
    (event,) = stand.events("checkout.session.completed", bought["session_id"])
    assert stand.deliver(event).json() == {"status": "duplicate"}
    assert _units(stand, buyer) == (100, 0)


def test_reconciliation_and_late_webhooks_at_the_same_time_credit_once(
    stand: Stand, buyer: str
) -> None:
    """Every webhook was dropped; then all of them come at once, over both endpoints and under two
    ids, while Stripe is asked.
    """
    bought = [stand.buy(buyer) for _ in range(3)]
    stand.control("deliveries", drop=1)
    for purchase in bought:
        stand.control(f"sessions/{purchase['session_id']}/pay", method="card")
    stand.control("deliveries", drop=0)
    events = [
        event
        for purchase in bought
        for event in stand.events("checkout.session.completed", purchase["session_id"])
    ]
    assert len(events) == len(bought)
    acts: list[Callable[[], Any]] = []
    for event in events:
        for copy in (event, {**event, "id": f"{event['id']}twin"}):
            acts += [partial(stand.deliver, copy), partial(stand.deliver_to_function_url, copy)]
        name = event["data"]["object"]["id"]
        acts.append(partial(stand.call, "POST", f"/payments/{name}/confirm", sub=buyer))
    acts += [partial(stand.invoke, "ReconcileFunction", {"since_hours": 1})] * 2
    random.Random(1).shuffle(acts)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda act: act(), acts))
    statuses = [answer.json()["status"] for answer in answers if not isinstance(answer, dict)]
    assert set(statuses) <= {"settled", "duplicate", "completed"}, statuses
    assert statuses.count("settled") <= len(bought)
    assert _units(stand, buyer) == (300, 0)
    assert [stand.payment(buyer, purchase["payment_id"])["status"] for purchase in bought] == [
        "completed"
    ] * 3
