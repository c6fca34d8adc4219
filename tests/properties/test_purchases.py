"""Three laws of purchases, and one end whatever the order: in memory for the many, on real DynamoDB
APIs for what is concurrent.
"""

import itertools
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from billing.books import Books
from billing.errors import BillingError, RetryableError
from billing.holds import closing, placing
from billing.parked import records
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.quota.balance import Balance
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import builders, dynamo, laws, model
from support.builders import fact, pending
from support.dynamo import Dynamo
from support.fakes.memory_store import MemoryStore

PLANS = sorted(catalogue())
ORDERS_MAX = 720
THREADS = 16


@given(
    plan=st.sampled_from(PLANS),
    kind=st.sampled_from(["completed", "async_succeeded"]),
    times=st.integers(1, 4),
)
def test_after_a_paid_purchase_quota_grows_by_exactly_the_plans_units(
    plan: str, kind: str, times: int
) -> None:
    """However often it is delivered, under as many event ids."""
    books = builders.books_on(MemoryStore())
    payment = pending(books, plan=plan)
    for _ in range(times):
        settlement.apply(books, fact(getattr(builders, kind)(payment)))
    assert debits.read(books, "alice").remaining == catalogue()[plan].quota


@given(
    plan=st.sampled_from(PLANS),
    kinds=st.lists(
        st.sampled_from(["declined", "expired", "async_failed", "completed_unpaid"]), max_size=5
    ),
)
def test_after_a_failed_purchase_quota_does_not_change(plan: str, kinds: list[str]) -> None:
    store = MemoryStore()
    books = builders.books_on(store)
    payment = pending(books, plan=plan)
    for kind in kinds:
        settlement.apply(books, fact(getattr(builders, kind)(payment)))
    assert debits.read(books, "alice").total == 0
    assert not store.tables["ledger"]


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(plans=st.lists(st.sampled_from(PLANS), min_size=2, max_size=6), copies=st.integers(1, 3))
def test_concurrent_purchases_add_up_exactly(
    database: Dynamo, plans: list[str], copies: int
) -> None:
    """Real threads, each event delivered several times at once, on one account."""
    store = database.store()
    books = builders.books_on(store)
    payments = [pending(books, plan=plan) for plan in plans]
    facts = [fact(builders.completed(payment)) for payment in payments for _ in range(copies)]
    _at_once(
        [lambda one=one: _until_known(books, lambda: settlement.apply(books, one)) for one in facts]  # type: ignore[misc]
    )
    store.deadline.begin()
    assert debits.read(books, "alice").remaining == sum(catalogue()[plan].quota for plan in plans)
    laws.check(dynamo.contents(store))


def test_concurrent_debits_purchases_and_refunds_never_go_below_zero(database: Dynamo) -> None:
    """Debits, keyed and plain, beside purchases and refunds: each is done or refused for want of
    units, and the books balance.
    """
    store = database.store()
    books = builders.books_on(store)
    meter = Meter(books, "")
    payments = [pending(books, plan="pro") for _ in range(8)]
    store.deadline.begin()
    settlement.apply(books, fact(builders.completed(payments[0])))
    memory._seen.clear()
    seen: list[int] = []

    def plain() -> None:
        _refusable(lambda: debits.debit(meter, "alice", 30))

    def keyed(number: int) -> Callable[[], None]:
        return lambda: _refusable(
            lambda: debits.debit_once(meter, "alice", 20, "backend", f"key{number % 16}")
        )

    def look() -> None:
        seen.append(debits.read(books, "alice").remaining)

    def told(event: dict[str, Any]) -> Callable[[], None]:
        return lambda: _until_known(books, lambda: settlement.apply(books, fact(event)))

    acts: list[Callable[[], None]] = (
        [plain] * 64 + [keyed(number) for number in range(48)] + [look] * 16
    )
    acts += [told(builders.completed(payment)) for payment in payments for _ in range(2)]
    acts += [told(builders.refunded(payment, 4999)) for payment in payments[:3]]
    random.Random(7).shuffle(acts)
    _at_once([_begun(store, act) for act in acts], threads=64)
    store.deadline.begin()
    for record in list(records.all_parked(books)):
        settlement.retry(books, record)
    assert all(remaining >= 0 for remaining in seen)
    laws.check(dynamo.contents(store))
    balance = Balance.from_item(store.get("quotas", ("alice", "quota")))
    assert balance.total - balance.used == balance.remaining - balance.debt
    assert balance.total == 5 * 1000


def _begun(store: Any, act: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        store.deadline.begin()
        act()

    return run


def _refusable(act: Callable[[], object]) -> None:
    try:
        act()
    except BillingError as refused:
        if refused.code != "quota_exhausted":
            raise


def _until_known(books: Books, act: Callable[[], object]) -> None:
    """As Stripe: again, until it is acknowledged."""
    for _ in range(20):
        books.store.deadline.begin()
        try:
            act()
        except RetryableError:
            continue
        return
    raise AssertionError("never acknowledged")


def _at_once(acts: list[Callable[[], None]], threads: int = THREADS) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(act) for act in acts]:
            done.result()


def _histories() -> dict[str, Callable[[Payment], list[dict[str, Any]]]]:
    return {
        "refunds of which one fails": lambda p: [
            builders.completed(p), *builders.refund_made(p, "re_1", 400, 400),
            *builders.refund_made(p, "re_2", 300, 700), builders.refund(p, "re_2", 300),
        ],
        "a refund that fails and is made again": lambda p: [
            builders.completed(p), *builders.refund_made(p, "re_1", 999, 999),
            builders.refund(p, "re_1", 999), *builders.refund_made(p, "re_2", 999, 999),
        ],
        "declined, then refunded in part": lambda p: [
            builders.declined(p), builders.completed(p), *builders.refund_made(p, "re_1", 400, 400),
        ],
        "delayed, disputed and won": lambda p: [
            builders.completed_unpaid(p), builders.async_succeeded(p),
            builders.dispute(p, "created", "needs_response", amount=600),
            builders.dispute(p, "funds_withdrawn", "needs_response", -600, amount=600),
            builders.dispute(p, "funds_reinstated", "won", -600, 600, amount=600),
            builders.dispute(p, "closed", "won", -600, 600, amount=600),
        ],
        "refunded in part, then lost": lambda p: [
            builders.completed(p), *builders.refund_made(p, "re_1", 300, 300),
            builders.dispute(p, "created", "needs_response", amount=699),
            builders.dispute(p, "funds_withdrawn", "needs_response", -699, amount=699),
            builders.dispute(p, "closed", "lost", -699, amount=699),
        ],
    }  # fmt: skip


@pytest.mark.parametrize("policy", ["debt", "write_off"])
@pytest.mark.parametrize("name", _histories())
def test_all_orders_of_a_purchases_events_end_in_one_state(name: str, policy: str) -> None:
    """Parked ones are tried again at the end; up to 720 orders of each."""
    ends = set()
    for count, order in enumerate(itertools.permutations(range(len(_histories()[name](_bare()))))):
        assert count < ORDERS_MAX
        store = MemoryStore()
        books = builders.books_on(store, policy)
        payment = pending(books, payment_id="pay_1", session_id="cs_1")
        events = _histories()[name](payment)
        for index in order:
            settlement.apply(books, fact(events[index]))
        for record in list(records.all_parked(books)):
            settlement.retry(books, record)
        laws.check(store)
        stored = Payment.from_item(store.get("payments", (user_key("alice"), "pay_1")))  # type: ignore[arg-type]
        expected = model.purchase(events, payment.quota, payment.amount_minor)
        assert (stored.status, stored.units_clawed_back) == (expected[0], expected[2]), order
        ends.add((stored.status, debits.read(books, "alice").remaining))
    assert len(ends) == 1


@given(
    policy=st.sampled_from(["debt", "write_off"]),
    used=st.integers(0, 60),
    held=st.lists(st.tuples(st.integers(1, 50), st.integers(-1, 50)), max_size=3),
    figures=st.lists(st.integers(1, 999), min_size=1, max_size=4),
)
def test_parts_of_a_refund_end_where_a_whole_one_does(
    policy: str, used: int, held: list[tuple[int, int]], figures: list[int]
) -> None:
    """With units used before it, and holds that are captured, released or left to expire (-1) after
    it.
    """
    ends = [
        _after_refunds(policy, used, held, parts) for parts in (sorted(figures), [max(figures)])
    ]
    assert ends[0] == ends[1]
    balance, given_up = ends[0]
    taken = 100 * max(figures) // 999
    assert given_up == (model.written_off(100, taken, used) if policy == "write_off" else 0)
    assert (balance.held, balance.remaining - balance.debt) == (
        0,
        100 - taken - balance.used + given_up,
    )


def _after_refunds(
    policy: str, used: int, held: list[tuple[int, int]], figures: list[int]
) -> tuple[Balance, int]:
    memory._seen.clear()
    store, clock = MemoryStore(), builders.Clock()
    books = builders.books_on(store, policy, clock)
    meter = Meter(books, "")
    payment = pending(books, payment_id="pay_1", session_id="cs_1")
    settlement.apply(books, fact(builders.completed(payment)))
    if used:
        debits.debit(meter, "alice", used)
    placed = []
    for units, captured in held:
        _refusable(
            lambda units=units, captured=captured: placed.append(  # type: ignore[misc]
                (placing.place(meter, "alice", units, 60), min(units, captured))
            )
        )
    for figure in figures:
        settlement.apply(books, fact(builders.refunded(payment, figure)))
        laws.check_what_was_given_up(store)
    for hold, captured in placed:
        if captured >= 0:
            closing.capture(meter, hold.hold_id, captured)
    clock.advance(seconds=61)
    laws.check(store)
    stored = Payment.from_item(store.get("payments", (user_key("alice"), "pay_1")) or {})
    # Lots are burned at another moment, which changes what is kept about them, and no figure.
    times = {"updated_at": "", "booked_at": "", "holds_due": 0}
    lots = {"lots_used": 0, "lots_left": 0, "lots_version": 0}
    return replace(debits.read(books, "alice"), **times, **lots), stored.units_written_off  # type: ignore[arg-type]


def _bare() -> Payment:
    return pending(builders.books_on(MemoryStore()))
