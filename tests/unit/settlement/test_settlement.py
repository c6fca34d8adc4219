from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from billing.books import Books
from billing.buying import queries
from billing.errors import BillingError, ConditionFailedError, OutcomeUnknownError, RetryableError
from billing.facts import Fact, SessionFact
from billing.holds import closing, placing
from billing.parked import dropping, parking, records
from billing.payments.decision import Park
from billing.payments.payment import Payment
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from billing.storage.writes import Write
from billing.stripe_api import objects
from support import builders, laws
from support.builders import fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.outbox import Kept


class Meddled(MemoryStore):
    """A store on which something else happens just before the next transaction, or in which
    transactions fail.
    """

    def __init__(self) -> None:
        """Nothing happens until it is asked for."""
        super().__init__()
        self.first: Callable[[], object] | None = None
        self.fails_at = -1
        self.is_refusing = False

    def commit(self, *writes: Write) -> None:
        """Meddle, once, then carry on."""
        if (first := self.first) is not None:
            self.first = None
            first()
        self.fails_at -= 1
        if self.fails_at == -1:
            raise OutcomeUnknownError("injected")
        if self.is_refusing:
            raise ConditionFailedError({1: None})
        super().commit(*writes)


@pytest.fixture
def store() -> Meddled:
    """An empty one."""
    return Meddled()


@pytest.fixture
def books(store: Meddled) -> Books:
    """The test stack's."""
    return builders.books_on(store)


def _settle(books: Books, event: dict[str, Any]) -> str:
    books.store.deadline.begin()
    return settlement.apply(books, fact(event)).status


def _balance(books: Books) -> tuple[int, int, int]:
    """What remains, what is owed, what was used; the laws are held on the way."""
    laws.check(books.store)
    laws.check_what_was_given_up(books.store)
    balance = debits.read(books, "alice")
    return balance.remaining, balance.debt, balance.used


def _now(books: Books, payment: Payment) -> Payment:
    item = books.store.get("payments", (user_key(payment.user_id), payment.payment_id))
    assert item is not None
    return Payment.from_item(item)


def _use(books: Books, units: int) -> None:
    debits.debit(Meter(books, ""), "alice", units)


def _marks(store: Meddled, payment: Payment) -> list[str]:
    return [name for subject, name in store.tables["events"] if subject == payment.payment_id]


def test_a_purchase_credits_what_was_bought(books: Books, store: Meddled) -> None:
    """Payment, quota, ledger and the event's mark."""
    payment = pending(books)
    assert _settle(books, builders.completed(payment, "evt_1")) == "settled"
    assert (_now(books, payment).status, _balance(books)) == ("completed", (100, 0, 0))
    assert _marks(store, payment) == ["evt_1"]


def test_one_session_under_two_event_ids_is_credited_once(books: Books) -> None:
    """The payment is the guard, not the event's id."""
    payment = pending(books)
    assert _settle(books, builders.completed(payment, "evt_1")) == "settled"
    assert _settle(books, builders.completed(payment, "evt_2")) == "duplicate"
    assert _balance(books) == (100, 0, 0)


def test_a_session_is_credited_once_though_its_payment_was_restored_to_before(
    books: Books, store: Meddled
) -> None:
    """Law 1, for ever: the ledger knows the cause, whatever became of the payments table; the
    payment learns of it again.
    """
    payment = pending(books)
    before = deepcopy(store.tables["payments"])
    _settle(books, builders.completed(payment))
    store.tables["payments"] = before
    assert _settle(books, builders.completed(payment)) == "recorded"
    assert (_now(books, payment).status, debits.read(books, "alice").remaining) == (
        "completed",
        100,
    )
    laws.check(store)


def test_a_refund_takes_back_once_though_its_payment_was_restored_to_before(
    books: Books, store: Meddled
) -> None:
    """The second part refunded is taken back although the restore forgot the first, and the first
    is not taken back again.
    """
    payment = pending(books)
    _settle(books, builders.completed(payment))
    before = deepcopy(store.tables["payments"])
    _settle(books, builders.refunded(payment, 333))
    store.tables["payments"] = before
    assert _settle(books, builders.refunded(payment, 666)) == "settled"
    assert (_now(books, payment).units_clawed_back, debits.read(books, "alice").remaining) == (
        66,
        34,
    )
    laws.check(store)


@pytest.mark.parametrize("transaction", [0, 1, 2])
def test_settling_is_atomic_wherever_it_dies(
    books: Books, store: Meddled, transaction: int
) -> None:
    """Laws 3 and 7: no mark without the effect, no effect without the mark; asked again, it is
    credited.
    """
    payment = pending(books)
    event = builders.completed(payment, "evt_1")
    store.fails_at = transaction
    with suppress(RetryableError):
        _settle(books, event)
    store.fails_at = -1
    is_marked = _marks(store, payment) == ["evt_1"]
    assert (
        is_marked
        == (_now(books, payment).status == "completed")
        == (debits.read(books, "alice").remaining == 100)
    )
    laws.check(store)
    _settle(books, event)
    assert _balance(books) == (100, 0, 0)


def test_an_unknown_outcome_is_reported_and_not_taken_for_success(
    books: Books, store: Meddled
) -> None:
    """Law 6: the caller must ask again."""
    payment = pending(books)
    store.is_refusing = True
    with pytest.raises(OutcomeUnknownError):
        _settle(books, builders.completed(payment))


def test_two_concurrent_events_that_move_no_units_are_both_recorded(
    books: Books, store: Meddled
) -> None:
    """A dispute is opened while a refund, not seen yet, fails: nothing in ledger or balance would
    tell of what was written over.
    """
    payment = pending(books)
    _settle(books, builders.completed(payment))
    store.first = lambda: _settle(books, builders.dispute(payment, "created", "needs_response"))
    _settle(books, builders.refund(payment, "re_1", 500))
    assert _now(books, payment).status == "disputed"
    _settle(books, builders.refunded(payment, 500))
    assert _balance(books) == (100, 0, 0)


def test_two_reversals_at_the_same_time_both_count(books: Books, store: Meddled) -> None:
    """A refund fails while a higher cumulative figure arrives: neither is written over."""
    payment = pending(books)
    _settle(books, builders.completed(payment))
    _settle(books, builders.refunded(payment, 500))
    store.first = lambda: _settle(books, builders.refunded(payment, 700))
    _settle(books, builders.refund(payment, "re_1", 500))
    assert _now(books, payment).reversals.refunded_minor == 200
    assert _balance(books) == (80, 0, 0)


def test_a_session_that_is_not_paid_yet_credits_nothing(books: Books) -> None:
    """Then, when the money comes, it does."""
    payment = pending(books)
    assert _settle(books, builders.completed_unpaid(payment)) == "recorded"
    assert (_now(books, payment).status, _balance(books)) == ("processing", (0, 0, 0))
    assert _settle(books, builders.async_succeeded(payment)) == "settled"
    assert _balance(books) == (100, 0, 0)


def test_a_session_that_needs_no_money_is_credited(books: Books) -> None:
    """A full discount: ``no_payment_required``."""
    payment = pending(books)
    event = builders.completed(
        payment, payment_status="no_payment_required", amount_total=0, payment_intent=None
    )
    assert _settle(books, event) == "settled"
    assert _balance(books) == (100, 0, 0)


@pytest.mark.parametrize("wrong", [{"amount_subtotal": 1, "amount_total": 1}, {"currency": "eur"}])
def test_a_session_at_another_price_is_parked_for_an_operator(
    books: Books, wrong: dict[str, Any]
) -> None:
    payment = pending(books)
    assert _settle(books, builders.completed(payment, **wrong)) == "parked"
    assert [record.kind for record in records.all_parked(books)] == ["mismatch"]
    assert _balance(books) == (0, 0, 0)


def test_units_are_what_our_record_says(books: Books) -> None:
    """Metadata can be edited in Stripe's dashboard: it is a claim."""
    payment = pending(books)
    claimed = {**builders.metadata(payment), "quota": "1000"}
    assert _settle(books, builders.completed(payment, metadata=claimed)) == "parked"
    assert _balance(books) == (0, 0, 0)


def test_a_discounted_purchase_is_judged_by_the_price_before_the_discount(books: Books) -> None:
    """All units, and a refund of what was paid takes all of them back."""
    payment = pending(books)
    assert _settle(books, builders.completed(payment, amount_total=500)) == "settled"
    assert _balance(books) == (100, 0, 0)
    _settle(books, builders.refunded(payment, 500))
    assert (_now(books, payment).status, _balance(books)) == ("refunded", (0, 0, 0))


@pytest.mark.parametrize(
    "late", [builders.expired, builders.declined, builders.async_failed, builders.completed_unpaid]
)
def test_a_late_event_undoes_no_purchase(
    books: Books, late: Callable[[Payment], dict[str, Any]]
) -> None:
    payment = pending(books)
    _settle(books, builders.completed(payment))
    _settle(books, late(payment))
    assert (_now(books, payment).status, _balance(books)) == ("completed", (100, 0, 0))


def test_a_late_decline_takes_no_payment_back_from_processing(books: Books) -> None:
    """The money is under way in a later attempt."""
    payment = pending(books)
    _settle(books, builders.completed_unpaid(payment))
    _settle(books, builders.declined(payment))
    assert _now(books, payment).status == "processing"


def test_a_second_session_paid_for_one_payment_waits_for_an_operator(books: Books) -> None:
    """Money came twice: neither credited twice, nor forgotten."""
    payment = pending(books)
    _settle(books, builders.completed(payment))
    other = replace(payment, session_id="cs_test_other")
    assert _settle(books, builders.completed(other, payment_intent="pi_other")) == "parked"
    assert [record.kind for record in records.all_parked(books)] == ["paid_twice"]
    assert _balance(books) == (100, 0, 0)


def test_several_events_about_one_session_are_one_record_and_one_decision(books: Books) -> None:
    """Dropped once, it stays dropped: by a second event's id, by a redelivery, and by what Stripe's
    API says.
    """
    payment = pending(books)
    first, second = (
        builders.completed(payment, name, currency="eur") for name in ("evt_a", "evt_b")
    )
    seen = objects.session(first["data"]["object"], "reconcile", builders.OURS)
    assert isinstance(seen, SessionFact)
    assert [_settle(books, event) for event in (first, second)] == ["parked", "parked"]
    assert settlement.apply(books, seen).status == "parked"
    (record,) = records.all_parked(books)
    dropping.drop(books, record, "refunded by hand")
    for again in (fact(first), fact(second), seen):
        assert settlement.apply(books, again).status == "parked"
    assert not list(records.all_parked(books))


def test_a_copy_of_an_expired_session_is_credited_in_its_place_once(books: Books) -> None:
    """M6: Stripe copies our metadata when a buyer recovers an expired session. Both ids lead to the
    payment.
    """
    payment = pending(books)
    copy = replace(payment, session_id="cs_test_copy")
    _settle(books, builders.expired(payment))
    assert [_settle(books, builders.completed(copy, name)) for name in ("", "", "evt_again")] == [
        "settled",
        "duplicate",
        "duplicate",
    ]
    assert _balance(books) == (100, 0, 0)
    for name in (payment.session_id, copy.session_id):
        assert queries.find(books, "alice", name).status == "completed"
    assert (
        _settle(books, builders.completed(payment)) == "parked"
    )  # should the first be paid all the same, money came twice
    assert _balance(books) == (100, 0, 0)
    _settle(books, builders.refunded(payment, 999))
    assert _balance(books) == (0, 0, 0)


def test_a_copy_of_a_session_whose_payment_failed_for_good_is_credited_once(books: Books) -> None:
    """A delayed payment that failed cannot be paid any more, like an expired session."""
    payment = pending(books)
    copy = replace(payment, session_id="cs_test_copy")
    _settle(books, builders.completed_unpaid(payment))
    _settle(books, builders.async_failed(payment))
    assert _settle(books, builders.completed(copy)) == "settled"
    assert _settle(books, builders.completed(copy)) == "duplicate"
    assert _balance(books) == (100, 0, 0)


def test_a_copied_session_that_is_reported_before_the_expiry_waits_for_it(books: Books) -> None:
    """Until then the first session might be paid as well."""
    payment = pending(books)
    assert (
        _settle(books, builders.completed(replace(payment, session_id="cs_test_copy"))) == "parked"
    )
    (record,) = records.all_parked(books)
    assert record.next_try > 0
    assert settlement.retry(books, record).status == "parked"
    _settle(books, builders.expired(payment))
    assert settlement.retry(books, record).status == "settled"
    assert _balance(books) == (100, 0, 0)


def test_a_refund_of_used_units_leaves_debt_and_the_next_purchase_pays_it(books: Books) -> None:
    """The ledger shows the whole clawback."""
    first, second = pending(books), pending(books)
    _settle(books, builders.completed(first))
    _use(books, 60)
    _settle(books, builders.refunded(first, 999))
    assert _balance(books) == (0, 60, 60)
    _settle(books, builders.completed(second))
    assert _balance(books) == (40, 0, 60)


def test_written_off_units_come_back_first_when_the_refund_fails() -> None:
    """The customer has used them: forty remain, as before."""
    books = builders.books_on(Meddled(), "write_off")
    payment = pending(books)
    _settle(books, builders.completed(payment))
    _use(books, 60)
    _settle(books, builders.refunded(payment, 999))
    assert _balance(books) == (0, 0, 60)
    _settle(books, builders.refund(payment, "re_1", 999))
    assert _balance(books) == (40, 0, 60)


def test_a_refund_ahead_of_its_payment_is_kept_and_applied_when_that_comes(books: Books) -> None:
    """Kept twice: where recovery looks, and outside DynamoDB."""
    outbox = Kept()
    books = replace(books, outbox=outbox)
    payment = pending(books)
    event = builders.refunded(payment, 500)
    assert _settle(books, event) == "parked"
    assert [record.fact for record in records.all_parked(books)] == outbox.facts == [fact(event)]
    _settle(books, builders.completed(payment))
    assert (_now(books, payment).status, _balance(books)) == ("partially_refunded", (50, 0, 0))
    assert not list(records.all_parked(books))


def test_a_purchase_with_many_waiting_events_is_settled_before_the_deadline(
    books: Books, store: Meddled
) -> None:
    """Fifty refunds came first: some are settled with it, the rest is recovery's, and the buyer's
    event does not run out of time.
    """
    payment = pending(books)
    for number in range(50):
        assert _settle(books, builders.refunded(payment, 10 * number + 10)) == "parked"
    store.calls = 0
    assert _settle(books, builders.completed(payment)) == "settled"
    assert store.calls < 10 * settlement.WAITING_AT_ONCE_MAX
    assert len(list(records.all_parked(books))) == 50 - settlement.WAITING_AT_ONCE_MAX
    for record in list(records.all_parked(books)):
        settlement.retry(books, record)
    assert _balance(books) == (50, 0, 0)


def test_an_unknown_outcome_of_what_waited_does_not_touch_the_purchase(
    books: Books, store: Meddled
) -> None:
    """Its own transaction is written: Stripe gets a 2xx, and recovery settles the rest."""
    payment = pending(books)
    _settle(books, builders.refunded(payment, 500))
    # the first is refused: an event waits; the second is the purchase, the third the refund
    store.fails_at = 2
    assert _settle(books, builders.completed(payment)) == "settled"
    assert _balance(books) == (100, 0, 0)
    for record in list(records.all_parked(books)):
        settlement.retry(books, record)
    assert _balance(books) == (50, 0, 0)


def test_a_parked_event_that_now_needs_an_operator_says_so(books: Books) -> None:
    """It came ahead of its payment; the payment came, in another currency: only an operator can
    settle that.
    """
    payment = pending(books)
    assert _settle(books, builders.refunded(replace(payment, currency="eur"), 500)) == "parked"
    assert [record.kind for record in records.all_parked(books)] == ["ahead"]
    assert _settle(books, builders.completed(payment)) == "settled"
    (record,) = records.all_parked(books)
    assert (record.kind, record.next_try) == ("mismatch", 0)
    assert "'eur'" in record.why


def test_an_event_is_in_the_queue_before_anything_else_can_fail(
    books: Books, store: Meddled
) -> None:
    """DynamoDB is down: the fact is safe all the same."""
    outbox = Kept()
    payment = pending(books)
    store.fails_at = 0
    with pytest.raises(OutcomeUnknownError):
        _settle(replace(books, outbox=outbox), builders.refunded(payment, 500))
    assert len(outbox.facts) == 1


@pytest.mark.parametrize("transaction", [0, 1, 2])
def test_wherever_a_retry_dies_the_parked_event_is_applied_in_the_end(
    books: Books, store: Meddled, transaction: int
) -> None:
    payment = pending(books)
    ahead = fact(builders.refunded(payment, 500))
    books.store.commit(*_parked(books, ahead))
    _settle(books, builders.completed(payment))
    store.fails_at = transaction
    record = records.find(books, ahead.fact_id)
    assert record is not None
    try:
        settlement.retry(books, record)
    except RetryableError:
        assert records.find(books, ahead.fact_id), "the fact is forgotten"
    store.fails_at = -1
    for kept in list(records.all_parked(books)):
        settlement.retry(books, kept)
    assert _balance(books) == (50, 0, 0)


def _parked(books: Books, ahead: Fact) -> list[Write]:
    """The record alone, as a crash of an earlier purchase leaves it: nothing waits on the payment's
    side.
    """
    scratch = Meddled()
    parking.park(replace(books, store=scratch), ahead, Park("ahead", "early"))  # type: ignore[arg-type]
    return [
        Write("events", key, set={n: v for n, v in row.items() if n not in ("subject", "fact_id")})
        for key, row in scratch.tables["events"].items()
    ]


@pytest.mark.parametrize("policy", ["debt", "write_off"])
def test_a_hold_is_not_touched_by_a_refund(policy: str) -> None:
    """What is set aside stays; the rest becomes debt, for a hold's units are not used: they are not
    written off either.
    """
    books = builders.books_on(Meddled(), policy)
    payment = pending(books)
    _settle(books, builders.completed(payment))
    hold = placing.place(Meter(books, ""), "alice", 30, 60).hold_id
    _settle(books, builders.refunded(payment, 999))
    assert _balance(books) == (0, 30, 0)
    closing.release(Meter(books, ""), hold)
    assert _balance(books) == (0, 0, 0)
    with pytest.raises(BillingError):
        _use(books, 1)


@pytest.mark.parametrize(
    ("end", "before", "after"),
    [
        ("released", (0, 0, 60), (0, 0, 60)),
        ("captured", (0, 0, 80), (0, 20, 80)),
        ("expired", (0, 0, 60), (0, 0, 60)),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_only_what_was_used_before_the_refund_is_written_off(
    *, end: str, before: tuple[int, int, int], after: tuple[int, int, int], is_first: bool
) -> None:
    """Sixty were used and forty are held.

    What a hold captures (20) ``before`` the refund is given up with them, ``after`` it is owed.
    """
    clock = builders.Clock()
    books = builders.books_on(Meddled(), "write_off", clock)
    payment, meter = pending(books), Meter(books, "")
    _settle(books, builders.completed(payment))
    _use(books, 60)
    hold = placing.place(meter, "alice", 40, 60).hold_id
    acts: dict[str, Callable[[], object]] = {
        "released": lambda: closing.release(meter, hold),
        "captured": lambda: closing.capture(meter, hold, 20),
        "expired": lambda: clock.advance(seconds=61),
    }
    steps: list[Callable[[], object]] = [
        acts[end],
        lambda: _settle(books, builders.refunded(payment, 999)),
    ]
    for step in steps if is_first else reversed(steps):
        step()
    assert _balance(books) == (before if is_first else after)
    _settle(books, builders.refund(payment, "re_1", 999))
    assert _balance(books) == (20 if end == "captured" else 40, 0, before[2])


@pytest.mark.parametrize("figures", [(999,), (100, 300, 500, 999), (500, 999), (990, 999)])
def test_parts_of_a_refund_write_off_what_a_whole_one_does(figures: tuple[int, ...]) -> None:
    """Forty that are held are owed once, whatever the parts; the sixty that
    were used are given up.
    """
    books = builders.books_on(Meddled(), "write_off")
    payment = pending(books)
    _settle(books, builders.completed(payment))
    _use(books, 60)
    placing.place(Meter(books, ""), "alice", 40, 60)
    for figure in figures:
        _settle(books, builders.refunded(payment, figure))
    assert (_now(books, payment).units_written_off, _balance(books)) == (60, (0, 40, 60))


def test_an_expired_hold_that_was_never_read_keeps_no_refunded_units() -> None:
    """Its units count as given back, and are taken: a customer with the money back cannot spend
    them.
    """
    clock = builders.Clock()
    books = builders.books_on(Meddled(), "write_off", clock)
    payment = pending(books)
    _settle(books, builders.completed(payment))
    placing.place(Meter(books, ""), "alice", 100, 60)
    clock.advance(seconds=61)
    _settle(books, builders.refunded(payment, 999))
    assert (_now(books, payment).units_written_off, _balance(books)) == (0, (0, 0, 0))
    with pytest.raises(BillingError):
        _use(books, 1)


@pytest.mark.parametrize(
    ("meanwhile", "written_off"), [("captured", 200), ("debited", 120), ("paid", 0)]
)
def test_a_refund_knows_the_account_as_it_is_when_it_is_written_off(
    meanwhile: str, written_off: int
) -> None:
    """Held units are used, remaining ones are used, or the debt is paid, between the refund's look
    at the account and its transaction.
    """
    store = Meddled()
    books = builders.books_on(store, "write_off")
    (first, second, third), meter = [pending(books) for _ in range(3)], Meter(books, "")
    for payment in (first, second):
        _settle(books, builders.completed(payment))
    _use(books, 100)
    hold = placing.place(meter, "alice", 80 if meanwhile == "debited" else 100, 60).hold_id
    if meanwhile == "paid":
        _settle(books, builders.refunded(first, 999))
    acts: dict[str, Callable[[], object]] = {
        "captured": lambda: closing.capture(meter, hold, 100),
        "debited": lambda: _use(books, 20),
        "paid": lambda: _settle(books, builders.completed(third)),
    }
    store.first = acts[meanwhile]
    for payment in (second, first):
        _settle(books, builders.refunded(payment, 999))
        _balance(books)
    assert (
        _now(books, first).units_written_off + _now(books, second).units_written_off == written_off
    )
