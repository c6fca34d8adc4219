"""What an operator's ``verify --repair`` writes, and what it leaves alone."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from billing.audit.readings import settled_tally
from billing.audit.repair import repair_account
from billing.books import Books
from billing.clock import epoch
from billing.deadline import Deadline
from billing.errors import Item, NotDoneError, OutcomeUnknownError
from billing.grants.booking import book
from billing.grants.grant import Grant
from billing.holds import placing
from billing.payments.payment import Payment
from billing.quota.balance import Balance
from billing.reconciliation import retry_parked, run
from billing.reconciliation.job import Run
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.storage.keys import user_key
from billing.storage.reader import Page
from billing.storage.writes import Table, Write
from support import builders, laws
from support.builders import START, Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe

QUOTA = ("alice", "quota")


class Meddled(MemoryStore):
    """A store on which something else happens just before the next transactions."""

    def __init__(self) -> None:
        """Nothing happens until it is asked for."""
        super().__init__()
        self.first: list[Callable[[], object]] = []

    def commit(self, *writes: Write) -> None:
        """Meddle, then carry on."""
        if self.first:
            self.first.pop()()
        super().commit(*writes)


@pytest.fixture
def store() -> Meddled:
    """An empty one."""
    return Meddled()


@pytest.fixture
def stripe() -> Stripe:
    """Knows what was sold."""
    return Stripe()


@pytest.fixture(params=["debt", "write_off"])
def books(request: pytest.FixtureRequest, store: Meddled, clock: Clock) -> Books:
    """Of either policy."""
    memory._seen.clear()
    return builders.books_on(store, request.param, clock)


@pytest.fixture
def payment(books: Books, stripe: Stripe) -> Payment:
    """Alice has bought 100 units, used 60, holds 10 and 5, and 500 of 999 were refunded."""
    payment = pending(books)
    stripe.sell(payment, epoch(START))
    settlement.apply(books, fact(builders.completed(payment)))
    debits.debit(Meter(books, ""), "alice", 60)
    placing.place(Meter(books, ""), "alice", 10, 600)
    placing.place(Meter(books, ""), "alice", 5, 300)
    stripe.refund(payment, "re_1", 500)
    settlement.apply(books, fact(builders.refunded(payment, 500)))
    return payment


def _job(books: Books, stripe: Stripe, *, repair: bool = True) -> Run:
    return Run(books, stripe, repair=repair, go_on=lambda: True, resumes=False)  # type: ignore[arg-type]


def _mended(books: Books, stripe: Stripe) -> tuple[str, ...]:
    acts = repair_account(_job(books, stripe), "alice").acts
    assert repair_account(_job(books, stripe), "alice").acts == ()
    laws.check(books.store)
    tally = settled_tally(books.store, "alice")
    assert tally is not None
    assert list(tally.differences("alice")) == []
    return acts


def _entries(store: Meddled) -> dict[str, int]:
    return {
        name: row["units"]
        for (_, name), row in store.tables["ledger"].items()
        if row["type"] != "consumed"
    }


def test_an_account_that_is_right_is_left_alone(
    books: Books, store: Meddled, stripe: Stripe, payment: Payment
) -> None:
    """Nothing is written, not even a time."""
    before = copy.deepcopy(store.tables)
    assert repair_account(_job(books, stripe), payment.user_id).acts == ()
    assert store.tables == before


@pytest.mark.parametrize("lost", ["funded", "reversal", "adjusted", ""])
def test_lost_entries_are_written_again(
    books: Books, store: Meddled, stripe: Stripe, payment: Payment, lost: str
) -> None:
    """Each by its cause or a free one, with its units, and a note that says why; the balance is as
    it was.
    """
    balance, units = dict(store.tables["quotas"][QUOTA]), sum(_entries(store).values())
    gone = {key: row for key, row in store.tables["ledger"].items() if key[1].startswith(lost)}
    for key in gone:
        del store.tables["ledger"][key]
    acts = _mended(books, stripe)
    assert sum(_entries(store).values()) == units
    assert sum("written into the ledger again" in act for act in acts) == len(gone)
    written = [
        row
        for row in store.tables["ledger"].values()
        if row.get("note") == "written again after a restore"
    ]
    assert sorted(row["units"] for row in written) == sorted(row["units"] for row in gone.values())
    assert {(row["reference_type"], row["reference_id"]) for row in written} <= {
        ("payment", payment.session_id)
    }
    now = store.tables["quotas"][QUOTA]
    assert all(now[name] == balance.get(name, 0) for name in ("total", "used", "held", "remaining"))


@pytest.mark.parametrize("part", ["ledger", "quotas", "both"])
def test_a_dry_run_says_the_same_and_writes_nothing(
    books: Books, store: Meddled, stripe: Stripe, payment: Payment, part: str
) -> None:
    """An operator looks first."""
    if part != "quotas":
        store.tables["ledger"].clear()
    if part != "ledger":
        store.tables["quotas"][QUOTA]["total"] += 7
    before = copy.deepcopy(store.tables)
    told = repair_account(_job(books, stripe, repair=False), payment.user_id).acts
    assert store.tables == before
    assert told
    assert _mended(books, stripe) == told


def test_a_dry_run_reports_no_balance_that_a_settlement_will_move(
    books: Books, store: Meddled, stripe: Stripe, payment: Payment
) -> None:
    """The purchase is lost in both tables: it is settled first, and the balance follows it."""
    for key in [key for key in store.tables["ledger"] if key[1].startswith("funded")]:
        del store.tables["ledger"][key]
    store.tables["payments"].clear()
    pending(books, payment_id=payment.payment_id, session_id=payment.session_id)
    before = copy.deepcopy(store.tables)
    job = _job(books, stripe, repair=False)
    told = repair_account(job, payment.user_id).acts
    assert store.tables == before
    assert [act for act in told if act.startswith("balance")] == []
    assert told[-1] == "the balance is recomputed once these payments are settled"
    assert _mended(books, stripe)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("total", 1),
        ("held", 99),
        ("remaining", 77),
        ("debt", 3),
        ("itemised", 9),
        ("holds_due", 0),
        ("holds_due", 2**40),
    ],
)
def test_a_figure_that_is_wrong_is_recomputed(  # noqa: PLR0917 - fixtures and parameters
    books: Books, store: Meddled, stripe: Stripe, payment: Payment, name: str, wrong: int
) -> None:
    """From the ledger and the open holds; what was used is known to the balance alone."""
    del payment
    before = Balance.from_item(store.tables["quotas"][QUOTA])
    store.tables["quotas"][QUOTA][name] = wrong
    acts = _mended(books, stripe)
    after = Balance.from_item(store.tables["quotas"][QUOTA])
    figures = (
        "total",
        "used",
        "held",
        "remaining",
        "debt",
        "itemised",
        "holds_due",
        "holds_placed",
    )
    assert {one: getattr(after, one) for one in figures} == {
        one: getattr(before, one) for one in figures
    }
    assert f"balance: {name} was {wrong}, is {getattr(before, name)}" in acts
    assert after.updated_at > before.updated_at
    assert after.booked_at > before.booked_at


def test_a_lost_balance_is_rebuilt(
    books: Books, store: Meddled, stripe: Stripe, payment: Payment
) -> None:
    """Whole days' use is in the ledger; what of the last day is not stays with the customer."""
    del payment
    total = store.tables["quotas"].pop(QUOTA)["total"]
    _mended(books, stripe)
    after = Balance.from_item(store.tables["quotas"][QUOTA])
    assert (after.total, after.used, after.held) == (total, 0, 15)
    assert after.remaining - after.debt == total - 15


def test_use_that_only_the_ledger_knows_is_used(
    books: Books, store: Meddled, stripe: Stripe, payment: Payment, clock: Clock
) -> None:
    """The balance was put back to before it was itemised."""
    del payment
    before = copy.deepcopy(store.tables["quotas"][QUOTA])
    clock.advance(days=1)
    settlement.apply(books, fact(builders.completed(pending(books))))
    debits.debit(Meter(books, ""), "alice", 1)
    store.tables["quotas"][QUOTA] = {**before, "used": 5, "itemised": 0}
    _mended(books, stripe)
    after = Balance.from_item(store.tables["quotas"][QUOTA])
    assert (after.used, after.itemised) == (60, 60)


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_concurrent_debit_is_not_overwritten(
    books: Books, store: Meddled, stripe: Stripe, payment: Payment, *, is_gone: bool
) -> None:
    """The balance is looked at again, and recomputed with what was spent."""
    del payment
    store.tables["quotas"][QUOTA]["total"] += 7
    kept = store.tables["quotas"].pop(QUOTA) if is_gone else None

    def meanwhile() -> None:
        if kept:
            store.tables["quotas"][QUOTA] = kept
        row = store.tables["quotas"][QUOTA]
        row["used"], row["remaining"] = row["used"] + 3, row.get("remaining", 0) - 3

    store.first = [meanwhile]
    _mended(books, stripe)
    assert Balance.from_item(store.tables["quotas"][QUOTA]).used == 63


def test_an_account_that_never_holds_still_is_an_unknown_outcome(
    books: Books, store: Meddled, stripe: Stripe, payment: Payment
) -> None:
    """It reports nothing that was not done."""
    store.tables["quotas"][QUOTA]["total"] += 7

    def used() -> None:
        store.tables["quotas"][QUOTA]["used"] += 1

    store.first = [used] * 1000
    with pytest.raises(OutcomeUnknownError):
        repair_account(_job(books, stripe), payment.user_id)


def test_a_payment_that_stripe_does_not_know_is_named_and_left(
    books: Books, store: Meddled, stripe: Stripe, payment: Payment
) -> None:
    """A stranger's entry in the ledger: its cause is unknown."""
    del payment
    row: dict[str, Any] = {
        "type": "funded",
        "units": 9,
        "reference_type": "payment",
        "reference_id": "cs_stranger",
    }
    store.tables["ledger"]["alice", "funded:cs_stranger"] = {
        "user_id": "alice", "entry_id": "funded:cs_stranger", "booked_at": "2026", **row,
    }  # fmt: skip
    acts = repair_account(_job(books, stripe), "alice").acts
    assert "cs_stranger: Stripe knows no such session; nothing was done about it" in acts


@pytest.mark.parametrize("repair", [True, False])
def test_a_lost_way_from_a_payment_intent_is_written_again(
    books: Books, store: Meddled, stripe: Stripe, payment: Payment, *, repair: bool
) -> None:
    """Without it the next refund would have no owner. A dry run says so, and writes nothing."""
    (lost,) = [key for key in store.tables["payments"] if key[0].startswith("ref#pi_")]
    row = store.tables["payments"].pop(lost)
    acts = repair_account(_job(books, stripe, repair=repair), "alice").acts
    assert acts == (f"{builders.intent_of(payment)}: leads to its payment again",)
    assert (store.tables["payments"].get(lost) == row) is repair


def test_a_payment_that_led_nowhere_needs_no_way(
    books: Books, store: Meddled, stripe: Stripe
) -> None:
    """Nothing was to pay: there is no payment intent."""
    free = pending(books)
    stripe.sell(
        free,
        epoch(START),
        amount_total=0,
        payment_intent=None,
        payment_status="no_payment_required",
    )
    event = builders.completed(
        free, payment_status="no_payment_required", amount_total=0, payment_intent=None
    )
    settlement.apply(books, fact(event))
    pending(books)
    before = copy.deepcopy(store.tables)
    assert repair_account(_job(books, stripe), "alice").acts == ()
    assert store.tables == before


def test_a_repaired_payment_has_a_new_version(
    books: Books, store: Meddled, stripe: Stripe, payment: Payment
) -> None:
    """Once for Stripe's state and once for its entries: a process that read it before and is about
    to write is refused.
    """
    key = (user_key("alice"), payment.payment_id)
    before = store.tables["payments"][key]["version"]
    store.tables["ledger"].clear()
    _mended(books, stripe)
    assert store.tables["payments"][key]["version"] == before + 2


def test_a_grant_under_a_sessions_name_is_no_part_of_its_purchase(
    books: Books, store: Meddled, stripe: Stripe, payment: Payment
) -> None:
    """An operator may give a grant any id."""
    book(books, Grant(payment.session_id, "alice", 7, "sorry"))
    before = copy.deepcopy(store.tables)
    assert repair_account(_job(books, stripe), "alice").acts == ()
    assert store.tables == before


def test_an_account_of_nothing_has_a_balance_again(
    books: Books, store: Meddled, stripe: Stripe
) -> None:
    """All was given back, nothing was used: its row is missing all the same."""
    paid = pending(books)
    stripe.sell(paid, epoch(START))
    settlement.apply(books, fact(builders.completed(paid)))
    stripe.refund(paid, "re_1", 999)
    settlement.apply(books, fact(builders.refunded(paid, 999)))
    del store.tables["quotas"][QUOTA]
    _mended(books, stripe)
    assert QUOTA in store.tables["quotas"]


class Slow(Meddled):
    """Every call takes its time, and none is begun when a request's time is over."""

    def __init__(self) -> None:
        """Nothing has been asked."""
        super().__init__()
        self.now, self.seconds = 0.0, 0.0
        self.deadline = Deadline(clock=lambda: self.now, sleep=lambda _: None)

    def _begin(self) -> None:
        if next(self.deadline.attempts(), None) is None:
            raise NotDoneError("there was no time for it")
        self.now += self.seconds

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """In time."""
        self._begin()
        return super().get(table, key)

    def query(self, *place: Any, **how: Any) -> Page:
        """In time."""
        self._begin()
        return super().query(*place, **how)

    def commit(self, *writes: Write) -> None:
        """In time."""
        self._begin()
        super().commit(*writes)


@pytest.mark.parametrize("store", [Slow()])
@pytest.mark.parametrize("books", ["debt"], indirect=True)
def test_a_slow_account_with_many_payments_is_repaired(
    books: Books, store: Slow, stripe: Stripe
) -> None:
    """The time is each payment's own, not the account's."""
    for number in range(8):
        paid = pending(books)
        stripe.sell(paid, epoch(START))
        settlement.apply(books, fact(builders.completed(paid)))
        if number % 2:
            del store.tables["ledger"]["alice", f"funded:{paid.session_id}"]
        else:
            del store.tables["payments"][f"ref#{builders.intent_of(paid)}", "reference"]
    store.seconds = 1.1
    store.deadline.begin()
    assert len(repair_account(_job(books, stripe), "alice").acts) == 8
    store.seconds = 0
    laws.check(store)


@pytest.mark.parametrize("store", [Slow()])
@pytest.mark.parametrize("books", ["debt"], indirect=True)
def test_recovery_has_time_of_its_own_whatever_was_before(
    books: Books, store: Slow, stripe: Stripe
) -> None:
    """A sweep of holds may have taken minutes."""
    settlement.apply(books, fact(builders.refunded(pending(books), 500)))
    store.now += 1000
    assert retry_parked.run(books, stripe).waiting == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("store", [Slow()])
@pytest.mark.parametrize("books", ["debt"], indirect=True)
def test_each_page_of_a_reconciliation_has_time_of_its_own(
    books: Books, store: Slow, stripe: Stripe
) -> None:
    """Stripe's lists may take long."""
    for _ in range(4):
        stripe.sell(pending(books), epoch(START))
    lister = stripe.sessions

    def slowly(since: int, after: str = "") -> dict[str, Any]:
        store.now += 100
        return lister(since, after)

    stripe.sessions = slowly  # type: ignore[method-assign]
    store.now += 1000
    report = run.run(_job(books, stripe), 0)
    assert (report.failed, report.unlisted, report.repaired) == (0, [], 4)


def test_one_lost_unit_is_taken_back_and_not_given(
    books: Books, store: Meddled, stripe: Stripe
) -> None:
    """The smallest entry has its type too."""
    paid = pending(books)
    stripe.sell(paid, epoch(START))
    settlement.apply(books, fact(builders.completed(paid)))
    stripe.refund(paid, "re_1", 10)
    settlement.apply(books, fact(builders.refunded(paid, 10)))
    (key,) = [key for key in store.tables["ledger"] if key[1].startswith("reversal:")]
    units = store.tables["ledger"].pop(key)["units"]
    assert units == -1
    _mended(books, stripe)
    (row,) = [row for row in store.tables["ledger"].values() if row.get("note")]
    assert (row["type"], row["units"]) == ("clawed_back", -1)


def test_a_lost_entry_of_units_that_came_back_is_written_again_as_such(
    books: Books, store: Meddled, stripe: Stripe
) -> None:
    """A refund had failed: its units were given back."""
    paid = pending(books)
    stripe.sell(paid, epoch(START))
    settlement.apply(books, fact(builders.completed(paid)))
    for status in ("succeeded", "failed"):
        settlement.apply(books, fact(builders.refund(paid, "re_1", 500, status)))
    (key,) = [key for key, row in store.tables["ledger"].items() if row["type"] == "reinstated"]
    units = store.tables["ledger"].pop(key)["units"]
    _mended(books, stripe)
    (row,) = [row for row in store.tables["ledger"].values() if row.get("note")]
    assert (row["type"], row["units"]) == ("reinstated", units) == ("reinstated", 50)


def test_what_was_lost_behind_an_unpaid_purchase_is_written_again(
    books: Books, store: Meddled, stripe: Stripe
) -> None:
    """The first has no entry, and the second has lost its own."""
    pending(books)
    paid = pending(books)
    stripe.sell(paid, epoch(START))
    settlement.apply(books, fact(builders.completed(paid)))
    (key,) = [key for key, row in store.tables["ledger"].items() if row["type"] == "funded"]
    del store.tables["ledger"][key]
    _mended(books, stripe)
    assert _entries(store) == {key[1]: 100}


@pytest.mark.parametrize("lost", ["reversal:{}:1", "reversal:{}:2"])
def test_a_lost_entry_is_written_again_under_a_number_that_is_free(
    books: Books, store: Meddled, stripe: Stripe, lost: str
) -> None:
    """The entry of another refund of the same payment keeps its own."""
    paid = pending(books)
    stripe.sell(paid, epoch(START))
    settlement.apply(books, fact(builders.completed(paid)))
    for name, minor, sum_minor in (("re_1", 100, 100), ("re_2", 200, 300)):
        stripe.refund(paid, name, minor)
        settlement.apply(books, fact(builders.refunded(paid, sum_minor)))
    kept = {key for key in store.tables["ledger"] if key[1].startswith("reversal:")}
    assert len(kept) == 2
    gone = sorted(kept)[lost.endswith(":2")]
    units = store.tables["ledger"].pop(gone)["units"]
    _mended(books, stripe)
    (key,) = [key for key, row in store.tables["ledger"].items() if row.get("note")]
    assert key not in kept
    assert store.tables["ledger"][key]["units"] == units
    laws.check(store)
