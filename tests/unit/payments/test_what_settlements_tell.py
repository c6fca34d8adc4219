"""Which events out a payment's changes tell, and what they show."""

from typing import Any

import pytest
from billing.settings import Telling
from billing.spending import debits
from billing.spending.meter import Meter
from support import builders
from support.builders import Clock, books_on, pending
from support.fakes.memory_store import MemoryStore
from support.transcripts import Story


class Loud(Story):
    """A purchase of a deployment that tells events; ``quota.low`` begins below 5."""

    def __init__(self) -> None:
        """Nothing was told."""
        super().__init__()
        self.books = books_on(self.store, clock=self.clock, telling=Telling(is_on=True, low_at=5))

    def told(self, event: dict[str, Any] | None = None) -> list[tuple[str, dict[str, Any]]]:
        """What was told since the last look, by the event."""
        if event:
            self.settle(event)
        rows = sorted(self.store.tables["notices"].items())
        self.store.tables["notices"].clear()
        return [(row["type"], row["data"]) for _, row in rows]

    def types(self, event: dict[str, Any]) -> list[str]:
        """Their types alone."""
        return [kind for kind, _ in self.told(event)]

    def shown(self) -> dict[str, Any]:
        """The payment, as the API shows it now."""
        rows = self.store.tables["payments"]
        return type(self.payment).from_item(rows["user#alice", "pay_1"]).as_answer()


@pytest.fixture
def loud() -> Loud:
    """One."""
    return Loud()


def test_each_change_of_a_payment_is_told_once_with_the_payment_as_it_is(loud: Loud) -> None:
    """From the first decline to the last word about the money."""
    payment = loud.payment
    won = builders.dispute(payment, "closed", "won", -999, 999)
    lost = builders.dispute(payment, "closed", "lost", -999, dispute_id="du_2")
    story = [
        (builders.declined(payment, "expired_card", created=1), "payment.failed"),
        (builders.declined(payment, "processing_error", created=2), "payment.failed"),
        (builders.declined(payment, "processing_error", created=3), ""),
        (builders.completed_unpaid(payment), ""),
        (builders.declined(payment, "lost_card", created=4), ""),
        (builders.async_failed(payment), "payment.failed"),
        (builders.declined(payment, "stolen_card", created=5), "payment.failed"),
        (builders.completed(payment), "payment.completed"),
        (builders.completed(payment), ""),
        (builders.refunded(payment, 1), "payment.refunded"),
        (builders.refunded(payment, 500), "payment.refunded"),
        (builders.refund(payment, "re_1", 500), "payment.refunded"),
        (builders.dispute(payment, "created", "warning_needs_response"), ""),
        (builders.dispute(payment, "created", "needs_response"), "payment.disputed"),
        (
            builders.dispute(payment, "funds_withdrawn", "needs_response", -999),
            "payment.disputed",
        ),
        (won, "payment.disputed"),
        (lost, "payment.refunded"),
    ]
    for event, kind in story:
        told = loud.told(event)
        payments = [(name, data) for name, data in told if name.startswith("payment.")]
        assert payments == ([(kind, loud.shown())] if kind else []), event["type"]


@pytest.mark.parametrize("make", [builders.completed_unpaid, builders.expired])
def test_money_under_way_and_an_expiry_tell_nothing(loud: Loud, make: Any) -> None:
    """Nothing is final for the buyer, or nothing was bought."""
    assert loud.told(make(loud.payment)) == []


def test_a_purchase_that_ends_a_low_balance_tells_both(loud: Loud) -> None:
    """And a refund that empties the account tells that it is low and depleted."""
    assert loud.types(builders.completed(loud.payment)) == ["payment.completed"]
    debits.debit(Meter(loud.books, ""), "alice", 96)
    assert [kind for kind, _ in loud.told()] == ["quota.low"]
    second = pending(loud.books, payment_id="pay_2", session_id="cs_2")
    assert loud.types(builders.completed(second)) == ["payment.completed", "quota.recovered"]
    assert loud.types(builders.refunded(second, 999)) == ["payment.refunded", "quota.low"]
    assert loud.types(builders.refunded(loud.payment, 999)) == [
        "payment.refunded",
        "quota.depleted",
    ]


def test_an_automatic_payment_that_is_refunded_tells_that_charges_are_off(loud: Loud) -> None:
    """Once: a later dispute of the same payment ends nothing more."""
    payment = builders.automatic(loud.books)
    assert loud.types(builders.intent_event(payment)) == ["payment.completed"]
    assert loud.types(builders.refunded(payment, 500)) == ["payment.refunded"]
    told = loud.told(builders.refunded(payment, 999))
    names = ["payment.refunded", "top_up.off", "quota.low", "quota.depleted"]
    assert [name for name, _ in told] == names
    shown = told[0][1]
    assert told[1][1] == {"reason": "refunded", "payment": shown}
    assert shown["status"] == "refunded"
    dispute = builders.dispute(payment, "created", "needs_response")
    assert loud.types(dispute) == ["payment.disputed"]


@pytest.mark.parametrize("is_automatic", [True, False])
def test_a_dispute_ends_charges_of_automatic_payments_alone(*, is_automatic: bool) -> None:
    """What was bought at a checkout says nothing about them."""
    loud = Loud()
    payment = builders.automatic(loud.books) if is_automatic else loud.payment
    make = builders.intent_event if is_automatic else builders.completed
    loud.told(make(payment))
    told = dict(loud.told(builders.dispute(payment, "created", "needs_response")))
    assert ("top_up.off" in told) is is_automatic
    assert (("alice", "top_up") in loud.store.tables["quotas"]) is is_automatic
    if is_automatic:
        assert told["top_up.off"]["reason"] == "disputed"
        row = loud.store.tables["quotas"]["alice", "top_up"]
        assert (row["on"], row["paused"], row["version"]) == (False, "disputed", 1)


def test_a_payment_that_only_a_restore_had_put_back_is_told_of_no_second_time(loud: Loud) -> None:
    """Its entry is in the ledger, and so its event went out."""
    before = dict(loud.store.tables["payments"]["user#alice", "pay_1"])
    loud.told(builders.completed(loud.payment))
    loud.store.tables["payments"]["user#alice", "pay_1"] = before
    assert loud.told(builders.completed(loud.payment)) == []
    assert loud.shown()["status"] == "completed"


def test_where_no_events_go_out_none_is_written() -> None:
    quiet = books_on(MemoryStore(), clock=Clock())
    story = Story()
    story.settle(builders.completed(story.payment))
    assert story.store.tables["notices"] == {}
    assert not quiet.telling.is_on
