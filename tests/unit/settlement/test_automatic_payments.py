"""A payment that no session pays: its payment intent is what it is known by everywhere."""

from typing import Any

import pytest
from billing.account import history
from billing.audit.repair import repair_account
from billing.books import Books
from billing.buying import confirmation, queries
from billing.clock import epoch
from billing.errors import BillingError
from billing.parked import records
from billing.payments.payment import Payment
from billing.reconciliation import retry_parked
from billing.reconciliation import run as reconciliation
from billing.reconciliation.job import Run
from billing.reconciliation.report import Report
from billing.settlement import settlement
from billing.spending import debits
from billing.storage.keys import user_key
from billing.stripe_api.claims import Ignored
from billing.stripe_api.events import parse
from support import builders, laws
from support.builders import fact, intent_event, intent_of
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe

Event = dict[str, Any]
UNITS = 100


@pytest.fixture
def store() -> MemoryStore:
    """An empty one."""
    return MemoryStore()


@pytest.fixture
def books(store: MemoryStore) -> Books:
    """The test stack's."""
    return builders.books_on(store)


@pytest.fixture
def stripe() -> Stripe:
    """Nothing was charged."""
    return Stripe()


def _settle(books: Books, event: Event) -> str:
    books.store.deadline.begin()
    outcome = settlement.apply(books, fact(event)).status
    laws.check(books.store)
    return outcome


def _answer(books: Books, payment: Payment) -> dict[str, Any]:
    return queries.find(books, payment.user_id, payment.payment_id).as_answer()


def _units(books: Books) -> int:
    laws.check(books.store)
    return debits.read(books, "alice").remaining


def _reconcile(books: Books, stripe: Stripe) -> Report:
    job = Run(books, stripe, repair=True)  # type: ignore[arg-type]
    report = reconciliation.run(job, epoch(builders.START) - 30 * 24 * 3600)
    assert not report.failed, report
    return report


def test_an_automatic_charge_is_credited_once_under_its_intents_id(books: Books) -> None:
    """``session_id`` is null; the ledger's reference is the payment intent."""
    payment = builders.automatic(books)
    first, again = intent_event(payment), intent_event(payment)
    assert [_settle(books, first), _settle(books, again)] == ["settled", "duplicate"]
    answer = _answer(books, payment)
    assert (answer["status"], answer["session_id"]) == ("completed", None)
    assert answer["payment_intent_id"] == intent_of(payment)
    (entry,) = history.entries(books, "alice", 10, "")["entries"]
    assert entry["id"] == f"funded:{intent_of(payment)}"
    assert (entry["reference_type"], entry["reference_id"]) == ("payment", intent_of(payment))
    assert _units(books) == UNITS


@pytest.mark.parametrize(
    ("status", "shown"), [("processing", "processing"), ("canceled", "failed")]
)
def test_a_charge_that_has_not_succeeded_credits_nothing(
    books: Books, status: str, shown: str
) -> None:
    """Money under way is no money; the intent's id is not shown before it is paid."""
    payment = builders.automatic(books)
    assert _settle(books, intent_event(payment, status)) == "recorded"
    answer = _answer(books, payment)
    assert (answer["status"], answer["payment_intent_id"]) == (shown, None)
    assert _units(books) == 0
    assert _settle(books, intent_event(payment)) == "settled"
    assert _units(books) == UNITS


def test_a_decline_is_shown_and_a_later_success_completes_it(books: Books) -> None:
    payment = builders.automatic(books)
    declined = builders.declined(payment, "card_declined", "insufficient_funds")
    assert _settle(books, declined) == "recorded"
    assert _answer(books, payment)["failure_code"] == "insufficient_funds"
    assert _settle(books, intent_event(payment)) == "settled"
    assert _answer(books, payment)["failure_code"] is None


@pytest.mark.parametrize(
    "status", ["requires_action", "requires_capture", "requires_payment_method", "", None]
)
def test_an_intent_in_any_other_state_says_nothing(books: Books, status: str | None) -> None:
    """``requires_action`` is no success: the bank has taken nothing."""
    payment = builders.automatic(books)
    event = builders.event(
        "payment_intent.succeeded", builders.intent(payment, status=status or "")
    )
    event["data"]["object"]["status"] = status
    assert parse(event, builders.OURS) == Ignored("still_open")


def test_a_checkouts_own_intent_credits_nothing(books: Books) -> None:
    """Its session does: two events tell of one purchase."""
    payment = builders.pending(books)
    event = builders.event(
        "payment_intent.succeeded",
        builders.intent(payment, metadata=builders.metadata(payment)),
    )
    assert parse(event, builders.OURS) == Ignored("of_a_checkout")
    _settle(books, builders.completed(payment))
    assert _units(books) == UNITS


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        ("amount", None, "unreadable"),
        ("amount_received", "999", "unreadable"),
        ("currency", 7, "unreadable"),
        ("id", None, "unreadable"),
        ("livemode", True, "other_mode"),
        ("metadata", {"automatic": "true"}, "not_ours"),
    ],
)
def test_an_intent_that_cannot_be_read_or_is_not_ours_is_ignored(
    books: Books, member: str, value: object, reason: str
) -> None:
    event = intent_event(builders.automatic(books))
    event["data"]["object"][member] = value
    assert parse(event, builders.OURS) == Ignored(reason)


def test_an_automatic_charge_of_a_payment_that_has_a_session_waits_for_an_operator(
    books: Books,
) -> None:
    """Metadata can be edited: one payment is never credited by both."""
    payment = builders.pending(books)
    _settle(books, builders.completed(payment))
    assert _settle(books, intent_event(payment)) == "parked"
    assert _units(books) == UNITS
    unpaid = builders.pending(books)
    assert _settle(books, intent_event(unpaid)) == "parked"
    assert _units(books) == UNITS


@pytest.mark.parametrize("member", ["amount", "currency"])
def test_a_charge_of_another_price_is_parked(books: Books, member: str) -> None:
    payment = builders.automatic(books)
    other: object = {"amount": 1, "currency": "eur"}[member]
    event = intent_event(payment)
    event["data"]["object"][member] = other
    assert _settle(books, event) == "parked"
    assert _units(books) == 0


def test_refunds_and_disputes_of_an_automatic_charge_take_its_units_back(books: Books) -> None:
    payment = builders.automatic(books)
    _settle(books, intent_event(payment))
    assert _settle(books, builders.refunded(payment, payment.amount_minor // 2)) == "settled"
    assert _answer(books, payment)["status"] == "partially_refunded"
    assert _settle(books, builders.refunded(payment, payment.amount_minor)) == "settled"
    assert _units(books) == 0
    references = {row["reference_id"] for row in books.store.pages("ledger", "alice")}
    assert references == {intent_of(payment)}


def test_a_refund_that_comes_first_waits_for_the_charge(books: Books, stripe: Stripe) -> None:
    """Recovery asks Stripe for the purchase: it is the intent itself."""
    payment = builders.automatic(books)
    assert _settle(books, builders.refunded(payment, payment.amount_minor)) == "parked"
    stripe.charged = [builders.intent(payment)]
    books.clock.advance(hours=1)  # type: ignore[attr-defined]
    done = retry_parked.run(books, stripe)  # type: ignore[arg-type]
    assert done.settled == 1
    assert _answer(books, payment)["status"] == "refunded"
    assert _units(books) == 0


def test_reconciliation_credits_a_charge_whose_events_were_lost(
    books: Books, stripe: Stripe
) -> None:
    """And again for nothing: it has been seen at Stripe."""
    payment = builders.automatic(books)
    stripe.charged = [builders.intent(payment)]
    assert _reconcile(books, stripe).repaired == 1
    assert _units(books) == UNITS
    again = _reconcile(books, stripe)
    assert (again.repaired, again.differing) == (0, 0)
    assert intent_of(payment) not in stripe.asked_for


def test_a_lost_record_of_a_charge_is_rebuilt_and_credited_once(
    books: Books, store: MemoryStore, stripe: Stripe
) -> None:
    """A restore lost the payment's row: the event is parked, reconciliation rebuilds the row."""
    payment = builders.automatic(books)
    del store.tables["payments"][user_key("alice"), payment.payment_id]
    assert _settle(books, intent_event(payment)) == "parked"
    stripe.charged = [builders.intent(payment)]
    assert _reconcile(books, stripe).repaired == 2
    assert _units(books) == UNITS
    assert _settle(books, intent_event(payment)) == "duplicate"


def test_what_is_credited_here_and_unknown_at_stripe_is_reported(
    books: Books, stripe: Stripe
) -> None:
    payment = builders.automatic(books)
    _settle(books, intent_event(payment))
    (row,) = _reconcile(books, stripe).differences
    assert (row.kind, row.stripe_id) == ("missing_there", intent_of(payment))
    stripe.charged = [builders.intent(payment, "canceled", created=0)]
    (row,) = _reconcile(books, stripe).differences
    assert row.detail == "credited here, canceled at Stripe"
    stripe.charged = [builders.intent(payment, created=0)]
    assert not _reconcile(books, stripe).differences
    assert not _reconcile(books, stripe).differences


def test_confirm_asks_stripe_for_the_intent(books: Books, stripe: Stripe) -> None:
    payment = builders.automatic(books)
    _settle(books, intent_event(payment, "processing"))
    stripe.charged = [builders.intent(payment)]
    paid = confirmation.confirm(
        books,
        stripe,  # type: ignore[arg-type]
        "alice",
        payment.payment_id,
    )
    assert paid.status == "completed"
    assert _units(books) == UNITS


def test_a_paid_charge_is_found_by_its_intent_and_by_its_owner_alone(books: Books) -> None:
    payment = builders.automatic(books)
    _settle(books, intent_event(payment))
    assert queries.find(books, "alice", intent_of(payment)).payment_id == payment.payment_id
    for user_id, name in (("bob", intent_of(payment)), ("alice", "pi_unknown")):
        with pytest.raises(BillingError, match="no such payment"):
            queries.find(books, user_id, name)


def test_a_ledger_that_a_restore_put_back_is_booked_again(
    books: Books, store: MemoryStore, stripe: Stripe
) -> None:
    """``topup ledger verify --repair`` names the intent, as the first entry did."""
    payment = builders.automatic(books)
    _settle(books, intent_event(payment))
    stripe.charged = [builders.intent(payment)]
    store.tables["ledger"].clear()
    store.tables["quotas"].clear()
    job = Run(books, stripe, repair=True)  # type: ignore[arg-type]
    acts = repair_account(job, "alice").acts
    assert any(f"funded:{intent_of(payment)}" in act for act in acts)
    assert _units(books) == UNITS
    (entry,) = store.pages("ledger", "alice")
    assert entry["reference_id"] == intent_of(payment)


def test_payments_older_than_the_ledger_are_not_credited_again(
    books: Books, store: MemoryStore
) -> None:
    """The payments' table was restored to before the charge was settled."""
    payment = builders.automatic(books)
    key = (user_key("alice"), payment.payment_id)
    before = dict(store.tables["payments"][key])
    _settle(books, intent_event(payment))
    store.tables["payments"][key] = before
    assert _settle(books, intent_event(payment)) == "recorded"
    assert _units(books) == UNITS


def test_two_words_on_one_charge_are_one_parked_record(books: Books, stripe: Stripe) -> None:
    """An event and Stripe's list say the same: an operator decides once."""
    payment = builders.automatic(books)
    assert _settle(books, intent_event(payment, amount=1)) == "parked"
    stripe.charged = [builders.intent(payment, amount=1)]
    _reconcile(books, stripe)
    (record,) = records.all_parked(books)
    assert record.name == f"{intent_of(payment)}:paid"


def test_a_charge_of_another_intent_than_the_one_that_is_known_is_parked(books: Books) -> None:
    """Metadata can be edited: of two charges for one payment one is credited, and told apart."""
    payment = builders.automatic(books)
    assert _settle(books, intent_event(payment, "processing")) == "recorded"
    assert _settle(books, intent_event(payment, id="pi_other")) == "parked"
    assert _units(books) == 0
    assert _settle(books, intent_event(payment)) == "settled"
    assert _units(books) == UNITS
    assert _answer(books, payment)["payment_intent_id"] == intent_of(payment)
