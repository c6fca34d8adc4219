"""Every interleaving of two handlers (three for duplicates), with every fault at every outside
call.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from billing.books import Books
from billing.errors import BillingError
from billing.expiry import hold_expiry
from billing.holds import closing, placing
from billing.parked import dropping, records
from billing.payments.payment import Payment
from billing.quota.balance import Balance
from billing.reconciliation import retry_parked
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from support import builders, laws, model
from support.builders import fact, pending
from support.fakes.stripe_twin import Stripe
from support.schedules import Handlers, ScheduledStore, explore, fresh_books

Story = Callable[[Books, Payment], list[list[dict[str, Any]]]]


def _stories() -> dict[
    str, tuple[list[Callable[[Payment], dict[str, Any]]], list[Callable[[Payment], dict[str, Any]]]]
]:
    """Name: what happened before, and what is delivered at the same time."""
    paid = builders.completed

    def half(payment: Payment) -> dict[str, Any]:
        return builders.refund_created(payment, "re_1", 500)

    def whole(payment: Payment) -> dict[str, Any]:
        return builders.refund_created(payment, "re_1", 999)

    def again(payment: Payment) -> dict[str, Any]:
        return builders.refund_created(payment, "re_2", 500)

    def figure(payment: Payment) -> dict[str, Any]:
        return builders.refunded(payment, 500)

    def out(payment: Payment) -> dict[str, Any]:
        return builders.dispute(payment, "funds_withdrawn", "needs_response", -600)

    def back(payment: Payment) -> dict[str, Any]:
        return builders.dispute(payment, "funds_reinstated", "under_review", -600, 600)

    def failed(payment: Payment) -> dict[str, Any]:
        return builders.refund(payment, "re_1", 500)

    return {
        "the same purchase twice": ([], [paid, paid]),
        "the same purchase three times": ([], [paid, paid, paid]),
        "a purchase and its expiry": ([], [paid, builders.expired]),
        "a purchase and a decline": ([], [paid, builders.declined]),
        "unpaid and then paid": ([], [builders.completed_unpaid, builders.async_succeeded]),
        "unpaid and then failed": ([], [builders.completed_unpaid, builders.async_failed]),
        "a purchase and its whole refund": ([], [paid, whole]),
        "a purchase and its dispute": ([], [paid, out]),
        "two partial refunds": ([paid, half], [again, lambda p: builders.refunded(p, 999)]),
        "a refund and its charge's figure": ([paid], [half, figure]),
        "a refund and its failure": ([paid], [half, failed]),
        "a refund made again after it failed": ([paid, half, failed], [again, figure]),
        "a refund made again before its failure is known": ([paid, half], [failed, again]),
        "a refund and a dispute": ([paid], [half, out]),
        "a dispute out and back": ([paid], [out, back]),
        "a lost dispute and a refund": (
            [paid, out],
            [lambda p: builders.dispute(p, "closed", "lost", -600), half],
        ),
    }


@pytest.mark.parametrize("policy", ["debt", "write_off"])
@pytest.mark.parametrize("name", _stories())
def test_deliveries_at_the_same_time_end_as_the_model_says(
    name: str, policy: str, record_figures: Callable[[str, dict[str, int]], None]
) -> None:
    """Whatever order, whatever fault: what was not acknowledged is delivered again, and the account
    is exactly right.
    """
    before, together = _stories()[name]
    faults = (
        () if len(together) > 2 else ("crash_before", "crash_after", "throttle", "conflict", "lost")
    )

    def build(store: ScheduledStore) -> Handlers:
        books = fresh_books(store, policy)
        payment = store.before(lambda: _told(books, before))
        events = [make(payment) for make in together]

        def check(ends: list[str]) -> None:
            for event, end in zip(events, ends, strict=True):
                if end != "done":
                    settlement.apply(books, fact(event))
            _recover(books)
            _as_the_model_says(books, payment, [make(payment) for make in before] + events)

        return [lambda event=event: settlement.apply(books, fact(event)) for event in events], check

    record_figures(f"{name}, {policy}", explore(build, faults))


def _told(books: Books, before: list[Callable[[Payment], dict[str, Any]]]) -> Payment:
    """A payment and what is delivered of it; sixty units are used after the first."""
    payment = pending(books, payment_id="pay_1", session_id="cs_1")
    for number, make in enumerate(before):
        settlement.apply(books, fact(make(payment)))
        _use(books, 0 if number else 60)
    return payment


def _bought(books: Books, used: int) -> Payment:
    """A hundred units, of which so many are used."""
    payment = pending(books, payment_id="pay_1", session_id="cs_1")
    settlement.apply(books, fact(builders.completed(payment)))
    _use(books, used)
    return payment


def _in_debt(books: Books) -> tuple[Payment, Payment]:
    """Two checkouts of a customer who used seventy units that were refunded."""
    first, second, third = (
        pending(books, payment_id=f"pay_{number}", session_id=f"cs_{number}")
        for number in (1, 2, 3)
    )
    settlement.apply(books, fact(builders.completed(first)))
    _use(books, 70)
    settlement.apply(books, fact(builders.refunded(first, 999)))
    return second, third


def _refunded_early(books: Books) -> tuple[Payment, dict[str, Any]]:
    """The refund is parked until the purchase is known."""
    payment = pending(books, payment_id="pay_1", session_id="cs_1")
    refund = builders.refund_created(payment, "re_1", 500)
    assert settlement.apply(books, fact(refund)).status == "parked"
    return payment, refund


def _held(meter: Meter) -> tuple[Payment, str]:
    """Ten used, forty held."""
    return _bought(meter.books, 10), placing.place(meter, "alice", 40, 60).hold_id


def _use(books: Books, units: int) -> None:
    if units:
        debits.debit(Meter(books, ""), "alice", units)


def _recover(books: Books) -> None:
    """What the schedule does later: parked facts whose payment has come."""
    for record in list(records.all_parked(books)):
        settlement.retry(books, record)


def _as_the_model_says(books: Books, payment: Payment, events: list[dict[str, Any]]) -> None:
    memory = books.store.memory  # type: ignore[attr-defined]
    laws.check(memory)
    status, credited, taken = model.purchase(events, payment.quota, payment.amount_minor)
    stored = Payment.from_item(memory.get("payments", (user_key("alice"), "pay_1")))
    assert (stored.status, stored.units_clawed_back) == (status, taken)
    balance = Balance.from_item(memory.get("quotas", ("alice", "quota")))
    if books.policy == "debt":
        assert balance.remaining - balance.debt == credited - taken - balance.used
    else:
        assert balance.remaining == max(0, credited - taken - balance.used)
    assert not list(records.all_parked(books))


def test_two_purchases_of_one_user_add_up_and_pay_the_debt_once(
    record_figures: Callable[[str, dict[str, int]], None],
) -> None:
    """Two different sessions credit the same balance, in debt from an earlier refund."""

    def build(store: ScheduledStore) -> Handlers:
        books = fresh_books(store)
        second, third = store.before(lambda: _in_debt(books))
        events = [builders.completed(second), builders.completed(third)]

        def check(ends: list[str]) -> None:
            for event, end in zip(events, ends, strict=True):
                if end != "done":
                    settlement.apply(books, fact(event))
            laws.check(store.memory)
            balance = debits.read(books, "alice")
            assert (balance.remaining, balance.debt, balance.used) == (130, 0, 70)

        return [lambda event=event: settlement.apply(books, fact(event)) for event in events], check

    record_figures("two purchases and a debt", explore(build))


def test_a_debit_and_a_refund_never_oversell(
    record_figures: Callable[[str, dict[str, int]], None],
) -> None:
    """A plain debit whose outcome is unknown may have been taken, never twice."""

    def build(store: ScheduledStore) -> Handlers:
        books = fresh_books(store)
        payment = store.before(lambda: _bought(books, 10))
        event = builders.refunded(payment, 999)

        def check(ends: list[str]) -> None:
            if ends[1] != "done":
                settlement.apply(books, fact(event))
            laws.check(store.memory)
            balance = debits.read(books, "alice")
            assert balance.used in (10, 100)
            assert (balance.remaining, balance.debt) == (0, balance.used)

        return [
            lambda: _refusable(lambda: debits.debit(Meter(books, ""), "alice", 90)),
            lambda: settlement.apply(books, fact(event)),
        ], check

    record_figures("a debit and a refund", explore(build))


def _refusable(act: Callable[[], object]) -> object:
    try:
        return act()
    except BillingError as refused:
        if refused.code not in ("quota_exhausted", "hold_closed"):
            raise
        return None


def test_a_keyed_debit_repeated_at_the_same_time_takes_once(
    record_figures: Callable[[str, dict[str, int]], None],
) -> None:

    def build(store: ScheduledStore) -> Handlers:
        books = fresh_books(store)
        store.before(lambda: _bought(books, 10))
        answers: list[debits.Debit] = []

        def debit() -> None:
            answers.append(debits.debit_once(Meter(books, ""), "alice", 30, "backend", "k"))

        def check(ends: list[str]) -> None:
            for end in ends:
                if end != "done":
                    debit()
            laws.check(store.memory)
            assert debits.read(books, "alice").used == 40
            assert len({answer.debit_id for answer in answers}) == 1
            assert {answer.remaining for answer in answers} == {60}

        return [debit, debit], check

    record_figures("a keyed debit twice", explore(build))


def _ends_of(meter: Meter, hold: str, *, is_expired: bool) -> dict[str, Callable[[], object]]:
    """The ways in which a hold of Alice's ends; ``is_expired``: its minute is over first."""
    books = meter.books
    if is_expired:
        books.clock.now += timedelta(seconds=61)  # type: ignore[attr-defined]
    return {
        "release": lambda: _refusable(lambda: closing.release(meter, hold)),
        "capture": lambda: _refusable(lambda: closing.capture(meter, hold, 25)),
        "expire": lambda: hold_expiry.give_back_expired(
            books, "alice", Balance.from_item(books.store.get("quotas", ("alice", "quota")))
        ),
    }


@pytest.mark.parametrize("other", ["release", "capture", "expire"])
def test_a_hold_is_closed_exactly_once(
    other: str, record_figures: Callable[[str, dict[str, int]], None]
) -> None:
    """Capture races a release, another capture, and the sweep after its time."""

    def build(store: ScheduledStore) -> Handlers:
        books = fresh_books(store)
        meter = Meter(books, "")
        _, hold = store.before(lambda: _held(meter))
        acts = _ends_of(meter, hold, is_expired=other == "expire")

        def check(ends: list[str]) -> None:
            if "done" not in ends:
                acts[other]()
            laws.check(store.memory)
            balance = debits.read(books, "alice")
            if other == "expire":
                assert (balance.used, balance.held, balance.remaining) == (10, 0, 90)
            elif other == "capture":
                assert (balance.used, balance.held, balance.remaining) == (35, 0, 65)
            else:
                assert (balance.used, balance.remaining) in ((10, 90), (35, 65))
                assert balance.held == 0

        return [lambda: _refusable(lambda: closing.capture(meter, hold, 25)), acts[other]], check

    record_figures(f"a capture and a {other}", explore(build))


@pytest.mark.parametrize("policy", ["debt", "write_off"])
@pytest.mark.parametrize("end", ["release", "capture", "expire"])
def test_a_refund_takes_back_what_a_hold_releases(
    end: str, policy: str, record_figures: Callable[[str, dict[str, int]], None]
) -> None:
    """Ten units were used before; what the hold captures is written off only where it was captured
    before the refund.
    """

    def build(store: ScheduledStore) -> Handlers:
        books = fresh_books(store, policy)
        meter = Meter(books, "")
        payment, hold = store.before(lambda: _held(meter))
        event = builders.refunded(payment, 999)
        acts = _ends_of(meter, hold, is_expired=end == "expire")
        handlers = [lambda: settlement.apply(books, fact(event)), acts[end]]

        def check(ends: list[str]) -> None:
            for again in (
                handler for handler, ended in zip(handlers, ends, strict=True) if ended != "done"
            ):
                again()
            laws.check(store.memory)
            laws.check_what_was_given_up(store.memory)
            balance = debits.read(books, "alice")
            used = 35 if end == "capture" else 10
            assert (balance.used, balance.held, balance.remaining) == (used, 0, 0)
            assert balance.debt in ({used} if policy == "debt" else {0, used - 10})

        return handlers, check

    record_figures(f"a refund and a hold's {end}, {policy}", explore(build))


def test_two_holds_and_a_debit_on_the_last_units_never_oversell(
    record_figures: Callable[[str, dict[str, int]], None],
) -> None:
    """Three handlers want 60 each of 100."""

    def build(store: ScheduledStore) -> Handlers:
        books = fresh_books(store)
        store.before(lambda: _bought(books, 1))
        meter = Meter(books, "")

        def check(ends: list[str]) -> None:
            assert ends == ["done"] * 3
            laws.check(store.memory)
            balance = debits.read(books, "alice")
            assert balance.used + balance.held == 61

        return [
            lambda: _refusable(lambda: placing.place(meter, "alice", 60, 60)),
            lambda: _refusable(lambda: placing.place(meter, "alice", 60, 90)),
            lambda: _refusable(lambda: debits.debit(meter, "alice", 60)),
        ], check

    record_figures("two holds and a debit", explore(build, ()))


def test_a_refund_that_is_dropped_with_its_purchase_counts_if_that_is_credited(
    record_figures: Callable[[str, dict[str, int]], None],
) -> None:
    """Its amount was reported wrongly and an operator dropped it; it is reported correctly while
    recovery, which sees the wrong one, drops the refund.
    """

    def build(store: ScheduledStore) -> Handlers:
        books, stripe = fresh_books(store), Stripe()
        payment = pending(books, payment_id="pay_1", session_id="cs_1")
        stripe.sell(payment, 0, amount_subtotal=500)
        events = [builders.completed(payment), builders.refund_created(payment, "re_1", 500)]
        for event in (builders.completed(payment, amount_subtotal=500), events[1]):
            assert settlement.apply(books, fact(event)).status == "parked"
        refund, session = sorted(records.all_parked(books), key=lambda record: record.kind)
        dropping.drop(books, session, "refunded by hand")

        def check(ends: list[str]) -> None:
            if ends[0] != "done":
                settlement.apply(books, fact(events[0]))
            _recover(books)
            assert [row["kind"] for row in records.all_dropped(books)] == ["mismatch"]
            _as_the_model_says(books, payment, events)

        return [
            lambda: settlement.apply(books, fact(events[0])),
            lambda: retry_parked.try_again(books, stripe, refund),  # type: ignore[arg-type]
        ], check

    record_figures("a late credit and the drop of its refund", explore(build, ()))


def test_recovery_and_a_late_purchase_settle_a_waiting_refund_once(
    record_figures: Callable[[str, dict[str, int]], None],
) -> None:
    """The refund is parked; the purchase arrives while recovery tries it."""

    def build(store: ScheduledStore) -> Handlers:
        books = fresh_books(store)
        payment, refund = store.before(lambda: _refunded_early(books))
        events = [refund, builders.completed(payment)]

        def check(ends: list[str]) -> None:
            if ends[0] != "done":
                settlement.apply(books, fact(events[1]))
            _recover(books)
            _as_the_model_says(books, payment, events)

        return [lambda: settlement.apply(books, fact(events[1])), lambda: _recover(books)], check

    record_figures("recovery and a late purchase", explore(build))
    assert retry_parked.TRIES_A_RUN_MAX > 0
