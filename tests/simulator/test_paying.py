"""What buyers do, and the events that follow: https://docs.stripe.com/checkout/fulfillment."""

from urllib.parse import urlsplit

import pytest
from simulator.lab import ITEM, Lab

CARD = [
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "checkout.session.completed",
]
DECLINED = ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]
DELAYED = [
    "payment_intent.created",
    "charge.pending",
    "payment_intent.processing",
    "checkout.session.completed",
]


def test_a_new_session_waits_for_its_buyer(stripe_lab: Lab) -> None:
    """Open, unpaid, without a payment intent; nothing has happened yet."""
    session = stripe_lab.create()
    assert (session.status, session.payment_status, session.payment_intent, session.mode) == (
        "open",
        "unpaid",
        None,
        "payment",
    )
    assert (session.amount_total, session.amount_subtotal, session.currency) == (999, 999, "usd")
    assert session.url == f"{stripe_lab.url}/c/pay/{session.id}"
    assert session.expires_at - session.created == 24 * 3600
    assert stripe_lab.types() == []


def test_a_card_pays_immediately(stripe_lab: Lab) -> None:
    """The session is complete and paid, the intent and its charge have succeeded."""
    session = stripe_lab.pay("card")
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    assert session.customer_details.email == "buyer@example.com"
    intent, charge = session.payment_intent, session.payment_intent.latest_charge
    assert (intent.status, intent.amount_received) == ("succeeded", 999)
    assert (charge.status, charge.paid, charge.captured, charge.amount, charge.payment_intent) == (
        "succeeded",
        True,
        True,
        999,
        intent.id,
    )
    assert charge.receipt_url == f"{stripe_lab.url}/receipts/{charge.id}"
    assert stripe_lab.types() == CARD


def test_a_declined_card_leaves_the_session_open(stripe_lab: Lab) -> None:
    """The intent tells why; the buyer may try again in the same session, with the same intent."""
    session = stripe_lab.pay("declined")
    assert (session.status, session.payment_status) == ("open", "unpaid")
    intent = session.payment_intent
    assert (
        intent.status,
        intent.last_payment_error.code,
        intent.last_payment_error.decline_code,
        intent.last_payment_error.type,
    ) == (
        "requires_payment_method",
        "card_declined",
        "generic_decline",
        "card_error",
    )
    assert (
        intent.latest_charge.status,
        intent.latest_charge.paid,
        intent.latest_charge.failure_code,
    ) == ("failed", False, "card_declined")
    assert stripe_lab.types() == DECLINED
    stripe_lab.control(f"sessions/{session.id}/pay", method="card")
    again = stripe_lab.session(session.id)
    assert (
        again.payment_status,
        again.payment_intent.id,
        again.payment_intent.last_payment_error,
    ) == ("paid", intent.id, None)
    assert stripe_lab.types() == [*DECLINED, *CARD[1:]]


def test_a_bank_debit_completes_the_session_unpaid_and_succeeds_later(stripe_lab: Lab) -> None:
    """async_payment_succeeded says that the money is there."""
    session = stripe_lab.pay("delayed")
    assert (session.status, session.payment_status, session.payment_intent.status) == (
        "complete",
        "unpaid",
        "processing",
    )
    assert session.payment_intent.latest_charge.status == "pending"
    assert stripe_lab.types() == DELAYED
    stripe_lab.control(f"sessions/{session.id}/settle", outcome="succeeded")
    paid = stripe_lab.session(session.id)
    assert (
        paid.payment_status,
        paid.payment_intent.status,
        paid.payment_intent.latest_charge.status,
    ) == ("paid", "succeeded", "succeeded")
    assert paid.payment_intent.latest_charge.id == session.payment_intent.latest_charge.id
    assert stripe_lab.types() == [
        *DELAYED,
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.async_payment_succeeded",
    ]


def test_a_bank_debit_may_fail_later(stripe_lab: Lab) -> None:
    """The session stays complete and unpaid for ever."""
    session = stripe_lab.pay("delayed")
    stripe_lab.control(f"sessions/{session.id}/settle", outcome="failed")
    failed = stripe_lab.session(session.id)
    assert (failed.status, failed.payment_status, failed.payment_intent.status) == (
        "complete",
        "unpaid",
        "requires_payment_method",
    )
    assert (
        failed.payment_intent.latest_charge.status,
        failed.payment_intent.latest_charge.paid,
    ) == ("failed", False)
    assert failed.payment_intent.last_payment_error.message
    assert stripe_lab.types() == [
        *DELAYED,
        "charge.failed",
        "payment_intent.payment_failed",
        "checkout.session.async_payment_failed",
    ]


def test_an_order_of_nothing_needs_no_payment(stripe_lab: Lab) -> None:
    """No intent, no charge: https://docs.stripe.com/payments/checkout/no-cost-orders."""
    free = {**ITEM, "price_data": {**ITEM["price_data"], "unit_amount": 0}}  # type: ignore[dict-item]
    session = stripe_lab.pay(line_items=[free])
    assert (
        session.status,
        session.payment_status,
        session.payment_intent,
        session.amount_total,
    ) == (
        "complete",
        "no_payment_required",
        None,
        0,
    )
    assert stripe_lab.types() == ["checkout.session.completed"]


def test_a_session_can_be_expired_once(stripe_lab: Lab) -> None:
    """It can no longer be paid, and it cannot be expired again; a paid one cannot at all."""
    session = stripe_lab.create()
    expired = stripe_lab.client.v1.checkout.sessions.expire(session.id)
    assert (expired.status, expired.url, expired.payment_status) == ("expired", None, "unpaid")
    assert stripe_lab.types() == ["checkout.session.expired"]
    for name in (session.id, stripe_lab.pay().id):
        assert (
            "can be expired"
            in stripe_lab.error("POST", f"/v1/checkout/sessions/{name}/expire")["message"]
        )
        stripe_lab.control(f"sessions/{name}/expire", 409)
        assert (
            "only an open one"
            in stripe_lab.control(f"sessions/{name}/pay", 409, method="card")["error"]
        )


def test_a_session_expires_by_itself_when_its_time_is_over(stripe_lab: Lab) -> None:
    abandoned, paid = stripe_lab.create(), stripe_lab.pay()
    stripe_lab.control("clock", advance_seconds=24 * 3600 - 60)
    assert stripe_lab.session(abandoned.id).status == "open"
    stripe_lab.control("clock", advance_seconds=61)
    assert stripe_lab.session(abandoned.id).status == "expired"
    assert stripe_lab.session(paid.id).status == "complete"
    assert stripe_lab.types()[-1] == "checkout.session.expired"


def test_what_cannot_happen_is_a_conflict_and_changes_nothing(stripe_lab: Lab) -> None:
    """Paying twice, settling what is not under way."""
    paid, fresh, delayed = stripe_lab.pay(), stripe_lab.create(), stripe_lab.pay("delayed")
    stripe_lab.control(f"sessions/{delayed.id}/settle", outcome="failed")
    before = stripe_lab.types()
    stripe_lab.control(f"sessions/{paid.id}/pay", 409, method="card")
    for session in (paid, fresh, delayed):
        assert (
            "no delayed payment"
            in stripe_lab.control(f"sessions/{session.id}/settle", 409, outcome="succeeded")[
                "error"
            ]
        )
    assert stripe_lab.types() == before


@pytest.mark.parametrize(
    ("way", "status", "outcome"), [("card", "complete", "paid"), ("delayed", "complete", "unpaid")]
)
def test_the_hosted_page_takes_the_buyer_back(
    stripe_lab: Lab, way: str, status: str, outcome: str
) -> None:
    """A plain form; {CHECKOUT_SESSION_ID} is replaced; afterwards the page says that it is done."""
    session = stripe_lab.create()
    page = stripe_lab.http.get(session.url)
    assert page.status_code == 200
    assert f'value="{way}"' in page.text
    assert "<script" not in page.text
    assert "Starter" in page.text
    assert "USD 9.99" in page.text
    answer = stripe_lab.http.post(session.url, data={"method": way})
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        f"http://127.0.0.1:9/back?session={session.id}",
    )
    found = stripe_lab.session(session.id)
    assert (found.status, found.payment_status) == (status, outcome)
    again = stripe_lab.http.post(session.url, data={"method": way})
    assert again.status_code == 409
    assert "has been paid for" in again.text
    assert "<button" not in stripe_lab.http.get(session.url).text


def test_the_hosted_page_lets_a_declined_buyer_try_again_or_leave(stripe_lab: Lab) -> None:
    """The refusal is announced; cancelling goes to the cancel_url and leaves the session open."""
    session = stripe_lab.create()
    declined = stripe_lab.http.post(session.url, data={"method": "declined"})
    assert declined.status_code == 402
    assert 'role="alert"' in declined.text
    assert 'value="card"' in declined.text
    left = stripe_lab.http.post(session.url, data={"method": "cancel"})
    assert (left.status_code, left.headers["location"]) == (303, "http://127.0.0.1:9/cancelled")
    assert stripe_lab.session(session.id).status == "open"
    assert stripe_lab.http.post(session.url, data={"method": "card"}).status_code == 303


def test_the_hosted_page_shows_names_as_text_and_several_items_in_lines(stripe_lab: Lab) -> None:
    sly = {
        "quantity": 3,
        "price_data": {
            "currency": "jpy",
            "unit_amount": 500,
            "product_data": {"name": "<b>Quota</b> & 'more'"},
        },
    }
    page = stripe_lab.http.get(stripe_lab.create(line_items=[sly]).url).text
    assert "<b>" not in page
    assert "&lt;b&gt;Quota&lt;/b&gt; &amp;" in page
    assert "JPY 1,500" in page
    assert "3 &times;" in page


def test_the_hosted_page_says_when_it_is_too_late(stripe_lab: Lab) -> None:
    """Expired, or never there; so does the receipt."""
    session = stripe_lab.create()
    stripe_lab.control("clock", advance_seconds=25 * 3600)
    page = stripe_lab.http.get(session.url)
    assert "has expired" in page.text
    assert 'href="http://127.0.0.1:9/cancelled"' in page.text
    assert stripe_lab.http.post(session.url, data={"method": "card"}).status_code == 409
    for path in ("/c/pay/cs_test_none", "/receipts/ch_none"):
        assert stripe_lab.http.get(stripe_lab.url + path).status_code == 404
    assert (
        stripe_lab.http.post(f"{stripe_lab.create().url}", data={"method": "gold"}).status_code
        == 404
    )


def test_a_receipt_shows_what_was_paid_and_refunded(stripe_lab: Lab) -> None:
    charge = stripe_lab.pay().payment_intent.latest_charge
    stripe_lab.client.v1.refunds.create({"charge": charge.id, "amount": 250})
    assert urlsplit(charge.receipt_url).path == f"/receipts/{charge.id}"
    page = stripe_lab.http.get(charge.receipt_url).text
    assert "USD 9.99" in page
    assert "Refunded: USD 2.50" in page
