"""What is made of Stripe's objects that are not as they usually are, and of troubles on the way to them."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import stripe as official
from billing.books import Books
from billing.clock import epoch
from billing.deployment import StoredDeployment
from billing.errors import ServiceFaultError
from billing.facts import SessionFact
from billing.payments import confirmation, parking, queries, settlement
from billing.payments.payment import Payment
from billing.reconciliation import repair, retry_parked
from billing.reconciliation.audit import Tallies
from billing.reconciliation.run import Run
from billing.storage.keys import user_key
from billing.storage.writes import Write
from billing.stripe_api import objects, refusals
from billing.stripe_api.client import AnsweredWithFaultError
from billing.stripe_api.events import Ignored, parse
from support import builders, laws
from support.builders import START, Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe


class Rough(MemoryStore):
    """``faulty``: DynamoDB refuses to write anything of this parked record."""

    faulty = ""

    def commit(self, *writes: Write) -> None:
        """See the store."""
        if self.faulty and any(write.key == ("parked", self.faulty) for write in writes):
            raise ServiceFaultError("no grant for this")
        super().commit(*writes)


class Away(Stripe):
    """Stripe answers every look at one object with a fault."""

    def session(self, session_id: str) -> dict[str, Any]:
        """See the gateway."""
        raise AnsweredWithFaultError(session_id)


class WithoutIntents(Stripe):
    """Charges that Checkout did not make."""

    def charge(self, charge: str) -> dict[str, Any]:
        """See the gateway."""
        self.asked_for.append(charge)
        return {"payment_intent": None}

    def payment_intent(self, payment_intent: str) -> dict[str, Any]:
        """See the gateway."""
        raise AssertionError(f"there is no payment intent {payment_intent}")


@pytest.fixture
def clock() -> Clock:
    """Moved by hand."""
    return Clock()


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold."""
    return builders.books_on(Rough(), clock=clock)


def _settle(books: Books, event: dict[str, Any]) -> str:
    return settlement.apply(books, fact(event)).status


def test_a_session_that_is_still_open_confirms_nothing(books: Books) -> None:
    """The buyer has come back without paying."""
    payment, stripe = pending(books), Stripe()
    stripe.sell(payment, epoch(START), status="open", payment_status="unpaid", payment_intent=None)
    assert confirmation.confirm(books, stripe, "alice", payment.payment_id).status == "pending"  # type: ignore[arg-type]


def test_what_is_paid_is_confirmed_without_stripe(books: Books) -> None:
    """Also while Stripe has trouble."""
    payment = pending(books)
    _settle(books, builders.completed(payment))
    assert confirmation.confirm(books, Away(), "alice", payment.payment_id).status == "completed"  # type: ignore[arg-type]


def test_a_dispute_of_a_charge_without_a_payment_intent_is_nobodys(books: Books, clock: Clock) -> None:
    """Checkout makes none: it is let go, and Stripe is not asked for an intent of no name."""
    event = builders.dispute(pending(books), "created", "needs_response")
    event["data"]["object"]["payment_intent"] = None
    assert _settle(books, event) == "parked"
    clock.advance(seconds=61)
    retry_parked.run(books, WithoutIntents())  # type: ignore[arg-type]
    assert not list(parking.all_parked(books))


@pytest.mark.parametrize("quota", ["9" * 30, "-1", "1.5", "", "²", "٣", 100])
def test_metadata_whose_units_are_no_whole_number_is_not_ours(books: Books, quota: Any) -> None:
    """No condition on such a figure could ever be written."""
    payment = pending(books)
    event = builders.completed(payment, metadata={**builders.metadata(payment), "quota": quota})
    assert isinstance(parse(event, books.ours), Ignored)


@pytest.mark.parametrize("member", ["amount_total", "amount_subtotal"])
@pytest.mark.parametrize("value", [True, "999", 9.99, None])
def test_an_amount_that_is_no_whole_number_is_unreadable(books: Books, member: str, value: Any) -> None:
    """Never taken for a price."""
    event = builders.completed(pending(books), **{member: value})
    assert isinstance(parse(event, books.ours), Ignored)


@pytest.mark.parametrize(("found", "intent"), [(None, ""), ("pi_1", "pi_1"), ({"id": "pi_1"}, "pi_1"), ({}, "")])
def test_a_payment_intent_is_named_expanded_or_not(found: Any, intent: str) -> None:
    """And not at all where nothing was to pay."""
    assert objects.intent_of({"payment_intent": found}) == intent


def _refusal(status: int, body: Mapping[str, Any] | None) -> official.StripeError:
    return official.InvalidRequestError("no", None, http_status=status, json_body=body)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 409, 424, 429, 500, 503])
def test_only_what_would_be_refused_again_is_final(status: int) -> None:
    """https://docs.stripe.com/api/errors#errors-http_status_code_summary."""
    said = {"error": {"type": "invalid_request_error", "code": "parameter_missing"}}
    assert refusals.is_final(_refusal(status, said)) == (status in {400, 401, 402, 403, 404})
    assert not refusals.is_final(_refusal(status, None))
    assert not refusals.is_final(_refusal(status, {"message": "a proxy's page"}))


def test_members_of_an_error_that_are_no_text_are_left_out_of_the_log() -> None:
    """Stripe documents texts: what is none says nothing."""
    said = {"error": {"type": "card_error", "code": 7, "param": "", "message": None}}
    told = refusals.for_the_log(_refusal(400, said))
    assert (told["type"], told["code"], told["param"], told["message"]) == ("card_error", None, None, None)


def test_a_fault_in_one_parked_fact_keeps_no_other_from_being_settled(books: Books, clock: Clock) -> None:
    """It is told, and stays for later."""
    stripe, payments = Stripe(), [pending(books), pending(books)]
    events = [builders.refunded(payment, 500) for payment in payments]
    for payment, event in zip(payments, events, strict=True):
        _settle(books, event)
        stripe.sell(payment, epoch(START))
    clock.advance(seconds=61)
    books.store.faulty = events[0]["id"]  # type: ignore[attr-defined]
    told: list[str] = []
    done = retry_parked.run(books, stripe, failed=lambda record, _: told.append(record.name))  # type: ignore[arg-type]
    assert (done.settled, done.waiting, told) == (1, 1, [events[0]["id"]])


def test_a_refund_of_a_payment_that_a_restore_has_lost_waits_as_unknown(books: Books) -> None:
    """The way from Stripe's id to it is still there: it is ours, and nothing it could wait for would bring it back."""
    payment = pending(books)
    _settle(books, builders.completed(payment))
    del books.store.tables["payments"][user_key("alice"), payment.payment_id]  # type: ignore[attr-defined]
    assert _settle(books, builders.refunded(payment, 500)) == "parked"
    assert [record.kind for record in parking.all_parked(books)] == ["unknown_payment"]


def test_trouble_at_stripe_is_not_taken_for_a_session_that_is_not_there(books: Books) -> None:
    """An operator who mends an account would believe it."""
    payment = pending(books)
    _settle(books, builders.completed(payment))
    del books.store.tables["ledger"]["alice", f"funded:{payment.session_id}"]  # type: ignore[attr-defined]
    job = Run(books, Away(), repair=True, go_on=lambda: True, resumes=False)  # type: ignore[arg-type]
    with pytest.raises(AnsweredWithFaultError):
        repair.mend(job, "alice")


def test_a_deployments_id_is_read_once_a_container() -> None:
    """An ordinary settlement costs no read of it."""
    store = MemoryStore()
    made = StoredDeployment(store).id()  # type: ignore[arg-type]
    another = StoredDeployment(store)  # type: ignore[arg-type]
    assert another.known() == made
    calls = store.calls
    assert (another.known(), another.id(), another.wrote(made)) == (made, made, True)
    assert store.calls == calls


def test_a_hold_that_came_and_went_between_two_readings_is_noticed() -> None:
    """All sums are as they were, but the account did not hold still."""
    tallies = [Tallies(), Tallies()]
    for number, tally in enumerate(tallies):
        tally.add("quotas", {"user_id": "alice", "item": "quota", "total": 5, "remaining": 5, "holds_placed": number})
    one, other = (tally["alice"] for tally in tallies)
    assert one.steady() != other.steady()


def test_a_paid_session_as_the_api_shows_it_is_the_events_fact(books: Books) -> None:
    """But for where it comes from."""
    event = builders.completed(pending(books))
    seen = objects.session(event["data"]["object"], "reconcile", books.ours)
    assert isinstance(seen, SessionFact)
    assert seen.fact_id == f"reconcile:{seen.session_id}"
    assert (seen.type, seen.created, seen.kind) == ("reconcile", 1767323045, "paid")


def test_what_was_dropped_is_shown_whole(books: Books) -> None:
    """What it was, why it waited, and why it goes."""
    payment = pending(books)
    event = builders.completed(payment, currency="eur")
    _settle(books, event)
    (record,) = parking.all_parked(books)
    parking.drop(books, record, "paid back by hand")
    (shown,) = parking.all_dropped(books)
    assert (shown["fact_id"], shown["type"], shown["kind"]) == (event["id"], event["type"], "mismatch")
    assert (shown["reason"], shown["why"], shown["parked_at"]) == ("paid back by hand", record.why, record.parked_at)
    assert shown["dropped_at"] > shown["parked_at"]
    assert (shown["fact"]["fact_id"], shown["fact"]["session_id"]) == (event["id"], payment.session_id)


def test_refunds_are_in_the_currency_that_stripe_gives_them(books: Books) -> None:
    """Another one than the payment's is nobody's to count: it waits for a person."""
    payment = pending(books)
    _settle(books, builders.completed(payment))
    row = {"id": "re_1", "amount": 500, "status": "succeeded", "currency": "eur", "created": 1767323046}
    seen = objects.refunds(builders.intent_of(payment), "usd", [row], "reconcile")
    assert seen.currency == "eur"
    assert objects.refunds(builders.intent_of(payment), "usd", [], "reconcile").currency == "usd"
    assert settlement.apply(books, seen).status == "parked"
    assert [record.kind for record in parking.all_parked(books)] == ["mismatch"]


@pytest.mark.parametrize("make", [lambda payment: builders.refunded(payment, 500), lambda payment: builders.refund(payment, "re_1", 500)])
def test_a_refund_without_a_payment_intent_is_not_ours(books: Books, make: Callable[[Payment], dict[str, Any]]) -> None:
    """Checkout always has one; a charge of another product may not."""
    event = make(pending(books))
    event["data"]["object"] |= {"payment_intent": None, "charge": None}
    assert isinstance(parse(event, books.ours), Ignored)


def test_a_run_that_has_no_time_left_reads_no_further(books: Books) -> None:
    """The facts that it has not read are there for the next one."""
    for _ in range(4):
        _settle(books, builders.refunded(pending(books), 500))
    left = iter([True, True, False])
    done = retry_parked.run(books, Stripe(), lambda: next(left, False))  # type: ignore[arg-type]
    assert (done.settled, done.waiting) == (0, 3)
    assert len(list(parking.all_parked(books))) == 4


def test_a_dispute_is_looked_at_with_its_purchase(books: Books) -> None:
    """The payments table was put back to before it: an operator's repair asks Stripe."""
    payment, stripe = pending(books), Stripe()
    stripe.sell(payment, epoch(START))
    _settle(books, builders.completed(payment))
    before = dict(books.store.tables["payments"][user_key("alice"), payment.payment_id])  # type: ignore[attr-defined]
    event = builders.dispute(payment, "funds_withdrawn", "needs_response", -999)
    stripe.dispute(event)
    _settle(books, event)
    books.store.tables["payments"][user_key("alice"), payment.payment_id] = before  # type: ignore[attr-defined]
    job = Run(books, stripe, repair=True, go_on=lambda: True, resumes=False)  # type: ignore[arg-type]
    repair.mend(job, "alice")
    laws.check(books.store)
    found = queries.find(books, "alice", payment.payment_id)
    assert (found.status, found.units_clawed_back) == ("disputed", 100)
