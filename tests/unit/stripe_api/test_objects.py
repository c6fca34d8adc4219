"""What is made of Stripe's objects that are not as they usually are, and of troubles on the way to
them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import stripe as official
from billing.audit.repair import repair_account
from billing.audit.tallies import Tallies
from billing.books import Books
from billing.buying import confirmation, queries
from billing.clock import epoch, stamp
from billing.deployment import StoredDeployment
from billing.errors import AwsRefusedError, OutcomeUnknownError
from billing.facts import SessionFact
from billing.parked import dropping, records, retries
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.reconciliation import retry_parked, run
from billing.reconciliation.job import Run
from billing.settlement import settlement
from billing.storage.keys import user_key
from billing.storage.writes import Write
from billing.stripe_api import objects, refusals
from billing.stripe_api.claims import Ignored
from billing.stripe_api.events import parse
from billing.stripe_api.outcomes import StripeServerError
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
            raise AwsRefusedError("no grant for this")
        super().commit(*writes)


class Away(Stripe):
    """Stripe answers every look at one object with a fault."""

    def session(self, session_id: str) -> dict[str, Any]:
        """See the gateway."""
        raise StripeServerError(session_id)


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
    payment = pending(books)
    _settle(books, builders.completed(payment))
    assert confirmation.confirm(books, Away(), "alice", payment.payment_id).status == "completed"  # type: ignore[arg-type]


def test_a_dispute_of_a_charge_without_a_payment_intent_is_not_ours(
    books: Books, clock: Clock
) -> None:
    """Checkout makes none: it is let go, and Stripe is not asked for an intent of no name."""
    event = builders.dispute(pending(books), "created", "needs_response")
    event["data"]["object"]["payment_intent"] = None
    assert _settle(books, event) == "parked"
    clock.advance(seconds=61)
    retry_parked.run(books, WithoutIntents())  # type: ignore[arg-type]
    assert not list(records.all_parked(books))


@pytest.mark.parametrize("quota", ["9" * 30, "-1", "1.5", "", "²", "٣", 100])
def test_metadata_whose_units_are_no_whole_number_is_not_ours(books: Books, quota: Any) -> None:
    """No condition on such a figure could ever be written."""
    payment = pending(books)
    event = builders.completed(payment, metadata={**builders.metadata(payment), "quota": quota})
    assert isinstance(parse(event, books.ours), Ignored)


@pytest.mark.parametrize("member", ["amount_total", "amount_subtotal"])
@pytest.mark.parametrize("value", [True, "999", 9.99, None])
def test_an_amount_that_is_no_whole_number_is_unreadable(
    books: Books, member: str, value: Any
) -> None:
    event = builders.completed(pending(books), **{member: value})
    assert isinstance(parse(event, books.ours), Ignored)


@pytest.mark.parametrize(
    ("found", "intent"), [(None, ""), ("pi_1", "pi_1"), ({"id": "pi_1"}, "pi_1"), ({}, "")]
)
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
    assert (told["type"], told["code"], told["param"], told["message"]) == (
        "card_error",
        None,
        None,
        None,
    )


def test_an_error_in_one_parked_event_does_not_stop_the_others(books: Books, clock: Clock) -> None:
    """It is reported, and stays for later."""
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
    """The way from Stripe's id to it is still there: it is ours, and nothing it could wait for
    would bring it back.
    """
    payment = pending(books)
    _settle(books, builders.completed(payment))
    del books.store.tables["payments"][user_key("alice"), payment.payment_id]  # type: ignore[attr-defined]
    assert _settle(books, builders.refunded(payment, 500)) == "parked"
    assert [record.kind for record in records.all_parked(books)] == ["unknown_payment"]


def test_trouble_at_stripe_is_not_taken_for_a_session_that_is_not_there(books: Books) -> None:
    """An operator who repairs an account would believe it."""
    payment = pending(books)
    _settle(books, builders.completed(payment))
    del books.store.tables["ledger"]["alice", f"funded:{payment.session_id}"]  # type: ignore[attr-defined]
    job = Run(books, Away(), repair=True, go_on=lambda: True, resumes=False)  # type: ignore[arg-type]
    with pytest.raises(StripeServerError):
        repair_account(job, "alice")


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
        tally.add(
            "quotas",
            {
                "user_id": "alice",
                "item": "quota",
                "total": 5,
                "remaining": 5,
                "holds_placed": number,
            },
        )
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
    (record,) = records.all_parked(books)
    dropping.drop(books, record, "paid back by hand")
    (shown,) = records.all_dropped(books)
    assert (shown["fact_id"], shown["type"], shown["kind"]) == (
        event["id"],
        event["type"],
        "mismatch",
    )
    assert (shown["reason"], shown["why"], shown["parked_at"]) == (
        "paid back by hand",
        record.why,
        record.parked_at,
    )
    assert shown["dropped_at"] > shown["parked_at"]
    assert (shown["fact"]["fact_id"], shown["fact"]["session_id"]) == (
        event["id"],
        payment.session_id,
    )


def test_refunds_are_in_the_currency_that_stripe_gives_them(books: Books) -> None:
    """A currency other than the payment's cannot be counted, so it waits for an operator."""
    payment = pending(books)
    _settle(books, builders.completed(payment))
    row = {
        "id": "re_1",
        "amount": 500,
        "status": "succeeded",
        "currency": "eur",
        "created": 1767323046,
    }
    seen = objects.refunds(builders.intent_of(payment), "usd", [row], "reconcile")
    assert seen.currency == "eur"
    assert objects.refunds(builders.intent_of(payment), "usd", [], "reconcile").currency == "usd"
    assert settlement.apply(books, seen).status == "parked"
    assert [record.kind for record in records.all_parked(books)] == ["mismatch"]


@pytest.mark.parametrize(
    "make",
    [
        lambda payment: builders.refunded(payment, 500),
        lambda payment: builders.refund(payment, "re_1", 500),
    ],
)
def test_a_refund_without_a_payment_intent_is_not_ours(
    books: Books, make: Callable[[Payment], dict[str, Any]]
) -> None:
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
    assert len(list(records.all_parked(books))) == 4


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
    repair_account(job, "alice")
    laws.check(books.store)
    found = queries.find(books, "alice", payment.payment_id)
    assert (found.status, found.units_clawed_back) == ("disputed", 100)


@pytest.mark.parametrize("member", ["payment_id", "user_id", "plan", "quota"])
@pytest.mark.parametrize("value", ["", None, 5, "\ud800", "x" * 501])
def test_metadata_without_one_of_our_members_is_not_ours(
    books: Books, member: str, value: Any
) -> None:
    """Or with one that is no text, or longer than Stripe keeps:
    https://docs.stripe.com/metadata#data.
    """
    payment = pending(books)
    event = builders.completed(payment, metadata={**builders.metadata(payment), member: value})
    assert isinstance(parse(event, books.ours), Ignored)


def test_a_parked_event_is_retried_every_six_hours_in_the_end(books: Books, clock: Clock) -> None:
    """First after a minute, then after twice as long each time."""
    _settle(books, builders.refunded(pending(books), 500))
    pauses = []
    for _ in range(14):
        clock.advance(days=1)
        (record,) = records.all_parked(books)
        assert retries.postpone(books, record)
        (record,) = records.all_parked(books)
        pauses.append(record.next_try - epoch(clock.now))
    assert pauses == [60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, *[21600] * 5]


def test_a_run_reads_a_bounded_number_of_events(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_parked, "READ_A_RUN_MAX", 2)
    for _ in range(4):
        _settle(books, builders.refunded(pending(books), 500))
    assert retry_parked.run(books, Stripe()).waiting == 2  # type: ignore[arg-type]


def test_a_session_of_a_plan_that_is_sold_no_longer_is_not_rebuilt(books: Books) -> None:
    """Its price is unknown. It is reported, and the others are compared."""
    payment, stripe = pending(books), Stripe()
    stripe.sell(payment, epoch(START), metadata={**builders.metadata(payment), "plan": "of_old"})
    books.store.tables["payments"].clear()  # type: ignore[attr-defined]
    job = Run(books, stripe, repair=True, go_on=lambda: True, resumes=False)  # type: ignore[arg-type]
    report = run.run(job, epoch(START) - 3600)
    assert report.failed == 0
    assert [str(row.kind) for row in report.differences] == ["missing_here"]
    assert not [key for key in books.store.tables["payments"] if key[1].startswith("pay_")]  # type: ignore[attr-defined]


def test_a_payment_that_never_got_a_session_is_shown_as_it_is(books: Books) -> None:
    """Stripe has no such object."""
    books.store.commit(*_without_session("pay_1"))
    assert confirmation.confirm(books, Away(), "alice", "pay_1").status == "pending"  # type: ignore[arg-type]


def _without_session(payment_id: str) -> list[Write]:
    payment = Payment.of(catalogue()["starter"], payment_id, "alice", stamp(START))
    return [Write("payments", (user_key("alice"), payment_id), set=payment.to_item())]


def test_what_waits_for_an_operator_is_left_exactly_as_it_is(books: Books, clock: Clock) -> None:
    """It is not even postponed, and is reported until an operator has looked."""
    _settle(books, builders.completed(pending(books), currency="eur"))
    (before,) = records.all_parked(books)
    clock.advance(days=30)
    retry_parked.run(books, Stripe())  # type: ignore[arg-type]
    assert list(records.all_parked(books)) == [before]
    assert retries.postpone(books, before)
    (after,) = records.all_parked(books)
    assert (after.next_try, after.tries) == (0, 1)


class Unknown(builders.Fixed):
    """The deployment's id is unknown, because the tables do not answer."""

    def wrote(self, deployment: str) -> bool:
        """See settings.Deployment."""
        raise OutcomeUnknownError(deployment)


def test_an_event_that_may_be_ours_or_foreign_is_delivered_again(books: Books) -> None:
    """A purchase must not be passed over because a table did not answer."""
    event = builders.completed(pending(books))
    with pytest.raises(OutcomeUnknownError):
        parse(event, replace(books.ours, deployment=Unknown()))


@pytest.mark.parametrize(
    "members",
    [
        {"object": "v2.core.event"},
        {"object": None},
        {"type": None},
        {"type": 5},
        {"data": None},
        {"data": {}},
    ],
)
def test_what_is_no_event_about_an_object_is_ignored(books: Books, members: dict[str, Any]) -> None:
    """Thin events carry no object: https://docs.stripe.com/event-destinations#thin-events."""
    event = builders.completed(pending(books)) | members
    assert isinstance(parse(event, books.ours), Ignored)


@pytest.mark.parametrize(
    "rows",
    [
        [5],
        ["txn_1"],
        [None],
        "txn_1",
        {"id": "txn_1"},
        [{"id": "txn_1"}],
        [{"id": "txn_1", "amount": "-999"}],
    ],
)
def test_a_dispute_whose_transactions_cannot_be_read_is_ignored(books: Books, rows: Any) -> None:
    """What they moved is not known, and an endless redelivery would not tell."""
    event = builders.dispute(pending(books), "funds_withdrawn", "needs_response", -999)
    event["data"]["object"]["balance_transactions"] = rows
    assert isinstance(parse(event, books.ours), Ignored)


@pytest.mark.parametrize("code", [5, None, ["x"], "", "x" * 1000])
def test_a_reason_that_is_no_short_text_is_no_reason(books: Books, code: Any) -> None:
    """The decline counts all the same."""
    payment = pending(books)
    assert _settle(books, builders.declined(payment, code)) == "recorded"
    found = queries.find(books, "alice", payment.payment_id).as_answer()
    assert (found["status"], type(found["failure_code"])) == ("failed", str)
