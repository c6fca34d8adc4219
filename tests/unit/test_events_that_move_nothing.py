"""Facts that can move no unit and whose payment is not in our records: they are ignored, by
whichever way they come.
"""

from collections.abc import Callable
from typing import Any, Final

import pytest
from billing.audit.repair import repair_account
from billing.books import Books
from billing.clock import epoch
from billing.errors import ConditionFailedError
from billing.parked import parking, records, retries
from billing.payments.decision import Park
from billing.payments.payment import Payment
from billing.reconciliation import retry_parked
from billing.reconciliation.job import Run
from billing.settlement import settlement
from billing.storage.keys import user_key
from billing.storage.writes import Write
from support import builders
from support.builders import fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe
from support.lost_records import Shop
from support.slow import Recovery, bridged

from infra.cli.commands.parked import retried
from infra.cli.previews import preview

Make = Callable[[Payment], dict[str, Any]]


MAKERS: Final[dict[str, Make]] = {
    "expired": builders.expired,
    "declined": builders.declined,
    "unpaid": builders.completed_unpaid,
    "failed later": builders.async_failed,
    "an inquiry": lambda payment: builders.dispute(payment, "created", "warning_needs_response"),
}


LISTED: Final[dict[str, dict[str, Any]]] = {
    "expired": {"payment_status": "unpaid", "status": "expired", "payment_intent": None},
    "unpaid": {"payment_status": "unpaid"},
    "failed later": {
        "payment_status": "unpaid",
        "payment_intent": {"id": "pi_1", "status": "requires_payment_method"},
    },
}
"""As Stripe's API shows such sessions."""


each = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


each_listed = pytest.mark.parametrize("kind", LISTED)


@pytest.fixture
def shop() -> Shop:
    """One."""
    return Shop()


@each
def test_the_webhook_ignores_it(shop: Shop, make: Make) -> None:
    """Nothing is kept, and an operator who replays it is informed."""
    told = fact(make(shop.payment))
    assert settlement.apply(shop.books, told).status == "ignored"
    assert preview(shop.books, told).startswith("nothing: ")
    assert not any(shop.store.tables.values())


@each
def test_what_eventbridge_brings_is_ignored_and_counted(
    monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    at_work = Recovery(monkeypatch)
    payment = pending(at_work.books)
    at_work.store.tables["payments"].clear()
    assert at_work.answer(bridged(make(payment))) == []
    assert at_work.counted == {"ignored": [1]}
    assert at_work.parked() == []


@each
def test_what_was_parked_before_goes_at_the_next_retry_and_the_alarm_of_its_age_goes_quiet(
    monkeypatch: pytest.MonkeyPatch, make: Make
) -> None:
    at_work = Recovery(monkeypatch)
    payment = pending(at_work.books)
    at_work.store.tables["payments"].clear()
    parking.park(at_work.books, fact(make(payment)), Park("unknown_payment", "not in our records"))
    at_work.clock.advance(hours=1)
    assert at_work.run()["waiting"] == 0
    assert at_work.counted == {"parked_age_seconds": [0]}


@each
def test_parked_retry_lets_it_go_and_says_so(shop: Shop, make: Make) -> None:
    """``topup parked retry``."""
    record = shop.park(make)
    assert retried(shop.books, shop.stripe, record) == {"status": "ignored"}  # type: ignore[arg-type]
    assert shop.parked() == []


@each_listed
def test_reconciliation_calls_it_no_difference_and_lets_go_what_was_parked(
    shop: Shop, kind: str
) -> None:
    """``topup reconcile --repair``; a dry run leaves it, and calls it none either."""
    shop.park(MAKERS[kind])
    shop.stripe.sell(shop.payment, epoch(shop.clock()), **LISTED[kind])
    assert (shop.reconcile(repair=False).counts, len(shop.parked())) == ({}, 1)
    report = shop.reconcile()
    assert (report.counts, report.matched, shop.parked()) == ({}, 1, [])


@each_listed
def test_repairing_an_account_removes_it(shop: Shop, kind: str) -> None:
    """``topup ledger verify --repair``, where the ledger is what names the session."""
    shop.park(MAKERS[kind])
    entry = {
        "type": "clawed_back",
        "units": -1,
        "reference_type": "payment",
        "reference_id": shop.payment.session_id,
        "booked_at": "x",
    }
    shop.store.tables["ledger"]["alice", "reversal:1"] = {
        "user_id": "alice",
        "entry_id": "reversal:1",
        **entry,
    }
    shop.stripe.sell(shop.payment, epoch(shop.clock()), **LISTED[kind])
    repair_account(
        Run(
            shop.books,
            shop.stripe,  # type: ignore[arg-type]
            repair=True,
            resumes=False,
        ),
        "alice",
    )
    assert shop.parked() == []
    assert not any(key[0] == user_key("alice") for key in shop.store.tables["payments"])


def test_a_paid_session_whose_record_was_lost_still_waits_and_is_rebuilt(shop: Shop) -> None:
    """Units are owed for it: that is another thing."""
    assert settlement.apply(shop.books, fact(builders.completed(shop.payment))).status == "parked"
    shop.stripe.sell(shop.payment, epoch(shop.clock()))
    assert shop.reconcile().counts == {"missing_here": 2}
    shop.recover()
    assert shop.parked() == []


def test_a_decline_of_an_unknown_payment_leaves_the_buyer_to_pay_later(shop: Shop) -> None:
    """It is ignored; the success that comes after it is not."""
    assert settlement.apply(shop.books, fact(builders.declined(shop.payment))).status == "ignored"
    assert settlement.apply(shop.books, fact(builders.completed(shop.payment))).status == "parked"


def test_a_refund_of_a_payment_that_a_restore_put_back_to_unpaid_is_taken_in_the_end(
    shop: Shop,
) -> None:
    """The way from its payment intent was kept: the refund waits for reconciliation, is not let go,
    and is applied once.
    """
    shop.payment = pending(shop.books)
    before = dict(shop.store.tables["payments"][user_key("alice"), shop.payment.payment_id])
    settlement.apply(shop.books, fact(builders.completed(shop.payment)))
    shop.store.tables["payments"][user_key("alice"), shop.payment.payment_id] = before
    shop.stripe.sell(shop.payment, epoch(shop.clock()))
    assert (
        settlement.apply(shop.books, fact(builders.refunded(shop.payment, 500))).status == "parked"
    )
    shop.recover()
    assert [record.kind for record in shop.parked()] == ["unknown_payment"]
    shop.reconcile()
    shop.clock.advance(hours=1)
    shop.recover()
    item = shop.store.get("quotas", ("alice", "quota"))
    assert (shop.parked(), item and item["remaining"]) == ([], 50)


class Moved(MemoryStore):
    """Something happens between one writer's refusal and what it writes next."""

    then: Callable[[], object] | None = None

    def commit(self, *writes: Write) -> None:
        """After it was refused once."""
        try:
            super().commit(*writes)
        except ConditionFailedError:
            then, self.then = self.then, None
            if then:
                then()
            raise


def _resolved_meanwhile(books: Books, record: records.Parked) -> None:
    books.store.commit(Write("events", (records.PARKED, record.name), delete=True))


def test_a_record_that_was_resolved_in_the_moment_of_a_change_leaves_no_ghost() -> None:
    """A row without its fact would end every later run.

    Another reason is reported while it is settled, and while it is retried.
    """
    store = Moved()
    books = builders.books_on(store)
    told = fact(builders.completed(pending(books)))
    parking.park(books, told, Park("unknown_payment", "not in our records"))
    (record,) = records.all_parked(books)
    store.then = lambda: _resolved_meanwhile(books, record)
    parking.park(books, told, Park("mismatch", "another amount"))
    assert list(records.all_parked(books)) == []
    assert not retries.postpone(books, record)
    assert list(records.all_parked(books)) == []
    assert retry_parked.run(books, Stripe()) == retry_parked.Recovered(0, 0, 0, 0)  # type: ignore[arg-type]
