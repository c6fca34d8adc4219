"""Refunds and disputes: https://docs.stripe.com/refunds and https://docs.stripe.com/disputes."""

from typing import Any

import pytest
import stripe
from simulator.lab import Lab


def _charge(lab: Lab, method: str = "card") -> Any:
    session = lab.pay(method)
    if method == "delayed":
        lab.control(f"sessions/{session.id}/settle", outcome="succeeded")
    return session.payment_intent.latest_charge


def _since(lab: Lab, before: list[str]) -> list[str]:
    return lab.types()[len(before) :]


def test_partial_refunds_add_up_on_the_charge(stripe_lab: Lab) -> None:
    """amount_refunded is cumulative; refunded only when all of it is."""
    charge = _charge(stripe_lab)
    before = stripe_lab.types()
    first = stripe_lab.client.v1.refunds.create({"charge": charge.id, "amount": 333})
    assert (first.status, first.amount, first.charge, first.payment_intent) == (
        "succeeded",
        333,
        charge.id,
        charge.payment_intent,
    )
    assert _since(stripe_lab, before) == ["refund.created", "charge.refunded"]
    event = stripe_lab.event("charge.refunded")
    assert event["data"]["previous_attributes"] == {"amount_refunded": 0, "refunded": False}
    assert (event["data"]["object"]["amount_refunded"], event["data"]["object"]["refunded"]) == (
        333,
        False,
    )
    assert "refunds" not in event["data"]["object"]
    stripe_lab.client.v1.refunds.create({"payment_intent": charge.payment_intent})
    found = stripe_lab.client.v1.charges.retrieve(charge.id)
    assert (found.amount_refunded, found.refunded) == (999, True)
    assert stripe_lab.event("charge.refunded")["data"]["previous_attributes"] == {
        "amount_refunded": 333,
        "refunded": False,
    }


def test_no_more_is_refunded_than_was_paid(stripe_lab: Lab) -> None:
    """Too much, nothing, all of it twice, an unpaid charge."""
    charge = _charge(stripe_lab)
    for amount, code in (
        ("1000", "parameter_invalid_integer"),
        ("0", "parameter_invalid_integer"),
        ("-1", "parameter_invalid_integer"),
    ):
        error = stripe_lab.error("POST", "/v1/refunds", {"charge": charge.id, "amount": amount})
        assert (error["code"], error["param"]) == (code, "amount")
    stripe_lab.client.v1.refunds.create({"charge": charge.id, "amount": 600})
    assert (
        stripe_lab.error("POST", "/v1/refunds", {"charge": charge.id, "amount": "400"})["code"]
        == "parameter_invalid_integer"
    )
    stripe_lab.client.v1.refunds.create({"charge": charge.id, "amount": 399})
    assert (
        stripe_lab.error("POST", "/v1/refunds", {"charge": charge.id})["code"]
        == "charge_already_refunded"
    )
    unpaid = [stripe_lab.pay(method).payment_intent for method in ("declined", "delayed")]
    for intent in unpaid:
        assert (
            "does not have a successful charge"
            in stripe_lab.error("POST", "/v1/refunds", {"payment_intent": intent.id})["message"]
        )
        stripe_lab.error("POST", "/v1/refunds", {"charge": intent.latest_charge.id})
    assert len(stripe_lab.client.v1.refunds.list().data) == 2


def test_a_refund_needs_to_know_of_what(stripe_lab: Lab) -> None:
    """A charge or a payment intent, and both of one payment."""
    one, other = _charge(stripe_lab), _charge(stripe_lab)
    assert (
        "One of the following params"
        in stripe_lab.error("POST", "/v1/refunds", {"amount": "1"})["message"]
    )
    stripe_lab.error(
        "POST", "/v1/refunds", {"charge": one.id, "payment_intent": other.payment_intent}
    )
    for form in ({"charge": "ch_none"}, {"payment_intent": "pi_none"}):
        assert stripe_lab.error("POST", "/v1/refunds", form, status=404)["param"] == next(
            iter(form)
        )
    assert (
        stripe_lab.error("POST", "/v1/refunds", {"charge": one.id, "reason": "because"})["param"]
        == "reason"
    )


def test_a_failed_refund_is_as_if_it_had_not_been(stripe_lab: Lab) -> None:
    """The charge's amount_refunded sinks; the refund says why."""
    charge = _charge(stripe_lab)
    kept = stripe_lab.client.v1.refunds.create({"charge": charge.id, "amount": 100})
    failing = stripe_lab.client.v1.refunds.create({"charge": charge.id, "amount": 899})
    before = stripe_lab.types()
    stripe_lab.control(f"refunds/{failing.id}/fail")
    assert _since(stripe_lab, before) == [
        "refund.updated",
        "charge.refund.updated",
        "refund.failed",
    ]
    event = stripe_lab.event("refund.failed")["data"]
    assert (event["object"]["status"], event["previous_attributes"]) == (
        "failed",
        {"status": "succeeded"},
    )
    assert event["object"]["failure_reason"]
    assert event["object"]["failure_balance_transaction"].startswith("txn_")
    found = stripe_lab.client.v1.charges.retrieve(charge.id)
    assert (found.amount_refunded, found.refunded) == (100, False)
    assert "cannot become failed" in stripe_lab.control(f"refunds/{failing.id}/fail", 409)["error"]
    stripe_lab.control(f"refunds/{kept.id}/succeed", 409)
    assert stripe_lab.client.v1.refunds.create({"charge": charge.id}).amount == 899


def test_a_refund_of_a_bank_debit_is_pending_first(stripe_lab: Lab) -> None:
    """The charge counts it immediately; later it succeeds, with its balance transaction."""
    charge = _charge(stripe_lab, "delayed")
    refund = stripe_lab.client.v1.refunds.create({"charge": charge.id})
    assert (refund.status, refund.pending_reason, refund.balance_transaction) == (
        "pending",
        "processing",
        None,
    )
    assert stripe_lab.client.v1.charges.retrieve(charge.id).refunded is True
    before = stripe_lab.types()
    stripe_lab.control(f"refunds/{refund.id}/succeed")
    assert _since(stripe_lab, before) == ["refund.updated", "charge.refund.updated"]
    found: Any = stripe_lab.client.v1.refunds.retrieve(
        refund.id, {"expand": ["balance_transaction"]}
    )
    assert (found.status, found.balance_transaction.amount) == ("succeeded", -999)
    assert "pending_reason" not in found


def test_the_api_cancels_a_refund_that_waits_for_the_customer_and_no_other(stripe_lab: Lab) -> None:
    """Then the charge is as before: https://docs.stripe.com/api/refunds/cancel."""
    charge = _charge(stripe_lab, "delayed")
    asked: Any = {"charge": charge.id, "amount": 500, "instructions_email": "jenny@example.com"}
    refunds = stripe_lab.client.v1.refunds
    waiting = refunds.create(asked)
    assert (waiting.status, waiting.instructions_email) == ("requires_action", "jenny@example.com")
    assert stripe_lab.client.v1.charges.retrieve(charge.id).amount_refunded == 500
    canceled = refunds.cancel(waiting.id)
    assert (canceled.status, canceled.failure_reason) == ("canceled", "merchant_request")
    assert "next_action" not in canceled
    assert stripe_lab.client.v1.charges.retrieve(charge.id).amount_refunded == 0
    event = stripe_lab.event("refund.updated")
    assert event["data"]["previous_attributes"] == {"status": "requires_action"}
    pending = refunds.create({"charge": charge.id, "amount": 500})
    by_card = refunds.create({"charge": _charge(stripe_lab).id})
    for other in (waiting, pending, by_card):
        with pytest.raises(stripe.InvalidRequestError):
            refunds.cancel(other.id)


def test_a_refund_goes_on_when_the_customer_has_answered(stripe_lab: Lab) -> None:
    """requires_action, pending, succeeded; no step is left out."""
    charge = _charge(stripe_lab, "delayed")
    asked: Any = {"charge": charge.id, "instructions_email": "jenny@example.com"}
    refund = stripe_lab.client.v1.refunds.create(asked)
    assert "cannot become" in stripe_lab.control(f"refunds/{refund.id}/succeed", 409)["error"]
    for act, status in (("process", "pending"), ("succeed", "succeeded")):
        assert stripe_lab.control(f"refunds/{refund.id}/{act}")["status"] == status
    assert stripe_lab.client.v1.charges.retrieve(charge.id).refunded is True


@pytest.mark.parametrize("end", ["fail", "cancel"])
def test_a_refund_that_failed_can_be_made_again(stripe_lab: Lab, end: str) -> None:
    """By its events, the charge shows nothing refunded between the two."""
    charge = _charge(stripe_lab)
    first = stripe_lab.client.v1.refunds.create({"charge": charge.id})
    stripe_lab.control(f"refunds/{first.id}/{end}")
    between = stripe_lab.client.v1.charges.retrieve(charge.id)
    assert (between.amount_refunded, between.refunded) == (0, False)
    before = stripe_lab.types()
    second = stripe_lab.client.v1.refunds.create({"charge": charge.id})
    assert _since(stripe_lab, before) == ["refund.created", "charge.refunded"]
    assert stripe_lab.event("refund.created")["data"]["object"]["id"] == second.id
    assert stripe_lab.event("charge.refunded")["data"]["object"]["amount_refunded"] == 999


def test_a_refunds_metadata_can_be_changed_and_taken_away(stripe_lab: Lab) -> None:
    """Keys are merged, empty values remove; the update has its events."""
    refund = stripe_lab.client.v1.refunds.create(
        {"charge": _charge(stripe_lab).id, "metadata": {"a": "1", "b": "2"}}
    )
    before = stripe_lab.types()
    changed = stripe_lab.client.v1.refunds.update(refund.id, {"metadata": {"a": "", "c": "3"}})
    assert changed.metadata is not None
    assert changed.metadata.to_dict() == {"b": "2", "c": "3"}
    assert _since(stripe_lab, before) == ["refund.updated", "charge.refund.updated"]
    assert stripe_lab.event("refund.updated")["data"]["previous_attributes"] == {
        "metadata": {"a": "1", "b": "2"}
    }


def test_a_chargeback_takes_the_money_and_its_fee(stripe_lab: Lab) -> None:
    """created, funds_withdrawn, updated; then the charge cannot be refunded any more."""
    charge = _charge(stripe_lab)
    before = stripe_lab.types()
    dispute = stripe_lab.control(f"charges/{charge.id}/dispute", amount=500)
    assert _since(stripe_lab, before) == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
    ]
    assert (
        stripe_lab.event("charge.dispute.created")["data"]["object"]["balance_transactions"] == []
    )
    assert (dispute["status"], dispute["amount"], dispute["is_charge_refundable"]) == (
        "needs_response",
        500,
        False,
    )
    (row,) = dispute["balance_transactions"]
    assert (row["amount"], row["fee"], row["net"], row["reporting_category"], row["source"]) == (
        -500,
        1500,
        -2000,
        "dispute",
        dispute["id"],
    )
    assert stripe_lab.client.v1.charges.retrieve(charge.id).disputed is True
    assert (
        stripe_lab.error("POST", "/v1/refunds", {"charge": charge.id})["code"] == "charge_disputed"
    )


def test_a_won_dispute_brings_the_money_back(stripe_lab: Lab) -> None:
    """funds_reinstated may come in parts and before it is closed; the fee comes back with it."""
    dispute = stripe_lab.control(f"charges/{_charge(stripe_lab).id}/dispute")
    before = stripe_lab.types()
    stripe_lab.control(f"disputes/{dispute['id']}/reinstate", amount=300)
    stripe_lab.control(f"disputes/{dispute['id']}/reinstate")
    closed = stripe_lab.control(f"disputes/{dispute['id']}/close", status="won")
    assert _since(stripe_lab, before) == [
        *["charge.dispute.funds_reinstated", "charge.dispute.updated"] * 2,
        "charge.dispute.closed",
    ]
    assert [row["amount"] for row in closed["balance_transactions"]] == [-999, 300, 699]
    assert [row["fee"] for row in closed["balance_transactions"]] == [1500, -1500, -1500]
    assert stripe_lab.event("charge.dispute.closed")["data"]["previous_attributes"] == {
        "status": "needs_response"
    }
    stripe_lab.control(f"disputes/{dispute['id']}/reinstate", 409, amount=1)
    stripe_lab.control(f"disputes/{dispute['id']}/close", 409, status="lost")


def test_an_inquiry_moves_no_money_until_it_becomes_a_chargeback(stripe_lab: Lab) -> None:
    """warning_needs_response; withdrawing turns it into needs_response."""
    charge = _charge(stripe_lab)
    inquiry = stripe_lab.control(f"charges/{charge.id}/dispute", kind="inquiry")
    assert (
        inquiry["status"],
        inquiry["balance_transactions"],
        inquiry["is_charge_refundable"],
    ) == ("warning_needs_response", [], True)
    stripe_lab.control(f"disputes/{inquiry['id']}/close", 409, status="won")
    assert (
        stripe_lab.client.v1.refunds.create({"charge": charge.id, "amount": 100}).status
        == "succeeded"
    )
    turned = stripe_lab.control(f"disputes/{inquiry['id']}/withdraw", amount=899)
    assert (turned["status"], turned["is_charge_refundable"]) == ("needs_response", False)
    assert (
        stripe_lab.event("charge.dispute.updated")["data"]["previous_attributes"]["status"]
        == "warning_needs_response"
    )
    quiet = stripe_lab.control(f"charges/{_charge(stripe_lab).id}/dispute", kind="inquiry")
    assert (
        stripe_lab.control(f"disputes/{quiet['id']}/close", status="warning_closed")["status"]
        == "warning_closed"
    )


def test_a_dispute_can_be_announced_before_the_money_goes(stripe_lab: Lab) -> None:
    """Withdraw false; afterwards no more than was disputed can go."""
    dispute = stripe_lab.control(
        f"charges/{_charge(stripe_lab).id}/dispute", amount=400, withdraw=False
    )
    assert dispute["balance_transactions"] == []
    stripe_lab.control(f"disputes/{dispute['id']}/withdraw", 409, amount=401)
    stripe_lab.control(f"disputes/{dispute['id']}/withdraw")
    stripe_lab.control(f"disputes/{dispute['id']}/withdraw", 409, amount=1)
    found = stripe_lab.client.v1.disputes.retrieve(dispute["id"])
    assert [row.amount for row in found.balance_transactions] == [-400]


def test_a_seller_answers_a_dispute_or_gives_in(stripe_lab: Lab) -> None:
    """Evidence puts it under review; closing loses it, once."""
    dispute = stripe_lab.control(f"charges/{_charge(stripe_lab).id}/dispute")["id"]
    held = stripe_lab.client.v1.disputes.update(
        dispute, {"evidence": {"customer_name": "Jenny"}, "submit": False}
    )
    assert (
        held.status,
        held.evidence_details.has_evidence,
        held.evidence_details.submission_count,
    ) == ("needs_response", True, 0)
    sent = stripe_lab.client.v1.disputes.update(
        dispute, {"evidence": {"uncategorized_text": "She used it."}, "metadata": {"a": "1"}}
    )
    assert (sent.status, sent.evidence.customer_name, sent.evidence_details.submission_count) == (
        "under_review",
        "Jenny",
        1,
    )
    assert (held.evidence_details.submission_method, sent.evidence_details.submission_method) == (
        "not_submitted",
        "manual",
    )
    assert (
        stripe_lab.event("charge.dispute.updated")["data"]["previous_attributes"]["status"]
        == "needs_response"
    )
    assert stripe_lab.client.v1.disputes.close(dispute).status == "lost"
    for call in (stripe_lab.client.v1.disputes.close, stripe_lab.client.v1.disputes.update):
        with pytest.raises(stripe.InvalidRequestError, match="already closed"):
            call(dispute)
