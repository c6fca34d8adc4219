from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from billing.books import Books
from billing.deadline import Deadline
from billing.errors import BillingError, Item, NotDoneError, OutcomeUnknownError
from billing.expiry import hold_expiry
from billing.holds import closing, placing
from billing.holds.hold import Hold
from billing.quota.balance import Balance
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.debits import Debit
from billing.spending.meter import Meter
from billing.storage.reader import Page
from billing.storage.writes import Write
from support import builders, laws
from support.builders import Clock, fact, pending
from support.deadlines import PausedDeadline
from support.fakes.memory_store import MemoryStore


class Watched(MemoryStore):
    """Notes the pauses between tries; something else may happen before a transaction, or after a
    read.
    """

    def __init__(self) -> None:
        """Quiet."""
        self.pauses: list[float] = []
        super().__init__(PausedDeadline(self.pauses.append))
        self.before_commit: list[Callable[[], object]] = []
        self.after_get: list[Callable[[], object]] = []

    def get(self, table: Any, key: tuple[str, str]) -> Item | None:
        """Then a concurrent request is faster."""
        found = super().get(table, key)
        if self.after_get:
            self.after_get.pop()()
        return found

    def commit(self, *writes: Write) -> None:
        """A concurrent request comes first."""
        if self.before_commit:
            self.before_commit.pop()()
        super().commit(*writes)


@dataclass
class Shop:
    """Alice has bought 100 units at midnight and spends; a container is forgotten with ``cold``."""

    store: Watched = field(default_factory=Watched)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        """Buy, and begin the day."""
        memory._seen.clear()
        self.books: Books = builders.books_on(self.store, clock=self.clock)
        self.meter = Meter(self.books, "https://shop.example.com")
        settlement.apply(self.books, fact(builders.completed(pending(self.books))))
        debits.debit(self.meter, "alice", 1)

    def hold(self, units: int, seconds: int = 60) -> str:
        """Its id."""
        made: str = placing.place(self.meter, "alice", units, seconds).hold_id
        return made

    def calls(self, act: Callable[[], object]) -> int:
        """How many calls of DynamoDB an act makes, and no pause."""
        before, self.store.pauses[:] = self.store.calls, []
        act()
        return self.store.calls - before

    def balance(self) -> Balance:
        """As ``GET /quota`` says; the laws hold."""
        laws.check(self.store)
        return debits.read(self.books, "alice")

    def three(self) -> tuple[int, int, int]:
        """Used, held, remaining."""
        balance = self.balance()
        return balance.used, balance.held, balance.remaining


@pytest.fixture
def shop() -> Shop:
    """Open."""
    return Shop()


def _ways(shop: Shop) -> dict[str, Callable[[int], Debit | Hold]]:
    return {
        "plain debit": lambda units: debits.debit(shop.meter, "alice", units),
        "keyed debit": lambda units: debits.debit_once(
            shop.meter, "alice", units, "backend", f"{shop.store.calls}"
        ),
        "hold": lambda units: placing.place(shop.meter, "alice", units, 600),
    }


WAYS = ["plain debit", "keyed debit", "hold"]


@pytest.mark.parametrize("way", WAYS)
def test_spending_after_an_expiry_takes_a_query_and_one_transaction(shop: Shop, way: str) -> None:
    """Where this container has spent since the hold was placed, it knows when to look, and nothing
    is refused first.
    """
    shop.hold(40)
    debits.debit(shop.meter, "alice", 1)
    shop.clock.advance(seconds=61)
    assert shop.calls(lambda: _ways(shop)[way](98)) == 2
    assert not shop.store.pauses
    used, held, remaining = shop.three()
    assert (used + held, remaining) == (100, 0)


@pytest.mark.parametrize("way", WAYS)
def test_spending_after_an_expiry_takes_one_call_more_in_another_container(
    shop: Shop, way: str
) -> None:
    """A plain debit is refused first, the others read the balance first."""
    shop.hold(40)
    memory._seen.clear()
    shop.clock.advance(seconds=61)
    assert shop.calls(lambda: _ways(shop)[way](99)) == 3
    used, held, remaining = shop.three()
    assert (used + held, remaining) == (100, 0)


@pytest.mark.parametrize("is_cold", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_the_answer_counts_the_released_units(shop: Shop, way: str, is_cold: bool) -> None:  # noqa: FBT001 - a parameter
    """What remains is what was given back, less what was taken; also where enough was there without
    it.
    """
    shop.hold(40)
    if is_cold:
        memory._seen.clear()
    shop.clock.advance(seconds=61)
    assert _ways(shop)[way](10).remaining == 89
    assert _ways(shop)[way](10).remaining == 79


@pytest.mark.parametrize("way", WAYS)
def test_a_refund_concurrent_with_an_expiry_oversells_nothing(shop: Shop, way: str) -> None:
    """Between the look at the account and the write that gives back and takes."""
    refunded = pending(shop.books)
    settlement.apply(shop.books, fact(builders.completed(refunded)))
    shop.hold(40)
    shop.clock.advance(seconds=61)
    shop.store.before_commit.append(
        lambda: settlement.apply(shop.books, fact(builders.refunded(refunded, 999)))
    )
    with pytest.raises(BillingError, match="quota_exhausted"):
        _ways(shop)[way](150)
    assert shop.three() == (1, 0, 99)


@pytest.mark.parametrize("way", WAYS)
def test_a_debit_by_a_clock_behind_an_expiry_oversells_nothing(shop: Shop, way: str) -> None:
    """For the other container the hold is open still, so it debits without a look at the holds."""
    shop.hold(40)
    behind = Clock()
    shop.clock.advance(seconds=61)
    other = Meter(builders.books_on(shop.store, clock=behind), "")
    shop.store.before_commit.append(lambda: debits.debit(other, "alice", 50))
    with pytest.raises(BillingError, match="quota_exhausted"):
        _ways(shop)[way](70)
    laws.check(shop.store)
    assert shop.three() == (51, 0, 49)


def test_concurrent_expiry_releases_a_hold_once(shop: Shop) -> None:
    """The sweep comes between a debit's look and its write."""
    shop.hold(40)
    shop.clock.advance(seconds=61)
    stored = Balance.from_item(shop.store.tables["quotas"]["alice", "quota"])
    shop.store.before_commit.append(
        lambda: hold_expiry.give_back_expired(shop.books, "alice", stored)
    )
    debits.debit(shop.meter, "alice", 90)
    assert shop.three() == (91, 0, 9)


@pytest.mark.parametrize("way", WAYS)
def test_spending_is_one_call_again_afterwards(shop: Shop, way: str) -> None:
    """What is remembered of the account is what was written."""
    shop.hold(40)
    shop.clock.advance(seconds=61)
    _ways(shop)[way](10)
    assert shop.calls(lambda: _ways(shop)[way](10)) == 1
    laws.check(shop.store)


@pytest.mark.parametrize("way", WAYS)
def test_a_memory_that_is_out_of_date_decides_nothing(shop: Shop, way: str) -> None:
    """Another container gave back and spent meanwhile: what this one remembers is judged by the
    write's conditions.
    """
    shop.hold(40)
    seen = dict(memory._seen)
    shop.clock.advance(seconds=61)
    debits.debit(shop.meter, "alice", 90)
    memory._seen.update(seen)
    with pytest.raises(BillingError, match="quota_exhausted"):
        _ways(shop)[way](10)
    memory._seen.update(seen)
    _ways(shop)[way](9)
    used, held, remaining = shop.three()
    assert (used + held, remaining) == (100, 0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("is_cold", [True, False])
def test_fifteen_hundred_expired_holds_are_released_without_a_pause(
    shop: Shop, way: str, *, is_cold: bool
) -> None:
    """Each part that is given back is progress: the debit that follows is done within the same
    request.
    """
    shop.store.tables["quotas"]["alice", "quota"].update(total=1500, used=0, remaining=1500)
    memory._seen.clear()
    for number in range(1500):
        shop.hold(1, seconds=60 + number % 7)
    if is_cold:
        memory._seen.clear()
    shop.clock.advance(seconds=70)
    shop.store.pauses.clear()
    _ways(shop)[way](1500)
    assert len(shop.store.pauses) <= 1, "one after the refused write, none between the parts"
    row = shop.store.tables["quotas"]["alice", "quota"]
    assert (row["remaining"], row.get("used", 0) + row["held"]) == (0, 1500)
    assert (
        len([name for _, name in shop.store.tables["quotas"] if name.startswith("closed#")]) == 1500
    )


def test_a_debit_times_out_before_its_deadline_and_released_holds_stay_released(shop: Shop) -> None:
    """More has expired than the deadline allows: it is busy, takes nothing, and the next one goes
    on from there.
    """
    shop.store.tables["quotas"]["alice", "quota"].update(total=1500, used=0, remaining=1500)
    memory._seen.clear()
    for _ in range(1500):
        shop.hold(1)
    shop.clock.advance(seconds=61)
    passed = iter(range(10**6))
    shop.store.deadline = Deadline(clock=lambda: next(passed) * 0.5, sleep=lambda _: None)
    with pytest.raises(NotDoneError, match="nothing was taken"):
        debits.debit(shop.meter, "alice", 1)
    row = shop.store.tables["quotas"]["alice", "quota"]
    assert 0 < row["held"] < 1500
    assert row.get("used", 0) == 0
    for _ in range(10):
        shop.store.deadline.begin()
        try:
            debits.debit(shop.meter, "alice", 1500)
        except NotDoneError:
            continue
        break
    assert row["used"] == 1500


def test_too_little_comes_back_and_nothing_is_taken(shop: Shop) -> None:
    """What has expired is given back all the same, and the refusal counts it."""
    shop.hold(40)
    shop.clock.advance(seconds=61)
    with pytest.raises(BillingError, match="100 units were asked for and 99 remain"):
        debits.debit(shop.meter, "alice", 100)
    assert shop.three() == (1, 0, 99)
    assert shop.store.tables["quotas"]["alice", "quota"]["remaining"] == 99


@pytest.mark.parametrize("way", WAYS)
def test_units_that_come_back_pay_debt_before_they_are_spent(shop: Shop, way: str) -> None:
    """Of 40 that come back 29 are owed."""
    other = pending(shop.books)
    settlement.apply(shop.books, fact(builders.completed(other)))
    shop.hold(40)
    debits.debit(shop.meter, "alice", 128)
    settlement.apply(shop.books, fact(builders.refunded(other, 600)))
    assert (shop.balance().debt, shop.balance().remaining) == (29, 0)
    shop.clock.advance(seconds=61)
    with pytest.raises(BillingError, match="quota_exhausted"):
        _ways(shop)[way](12)
    _ways(shop)[way](11)
    assert (shop.balance().debt, shop.balance().remaining) == (0, 0)
    laws.check(shop.store)


def test_a_hold_that_is_placed_as_another_expires_is_released_later(shop: Shop) -> None:
    """One transaction gives the one back and notes when the other is due."""
    shop.hold(40)
    shop.clock.advance(seconds=61)
    shop.hold(50, seconds=30)
    assert shop.three() == (1, 50, 49)
    shop.clock.advance(seconds=32)
    assert shop.three() == (1, 0, 99)
    debits.debit(shop.meter, "alice", 99)
    assert shop.three() == (100, 0, 0)


def test_a_hold_lasts_no_less_than_was_asked_for(shop: Shop) -> None:
    """One second from the last hundredth of another one; whole seconds are rounded up."""
    shop.clock.now = shop.clock.now.replace(microsecond=990_000)
    held = shop.hold(40, seconds=1)
    shop.clock.now += timedelta(microseconds=990_000)
    assert closing.capture(shop.meter, held, 25).units == 25
    late = shop.hold(40, seconds=1)
    shop.clock.advance(seconds=2)
    with pytest.raises(BillingError, match="hold_closed"):
        closing.capture(shop.meter, late, 25)


class Unlucky(Watched):
    """The next closing of a hold meets trouble, and time passes."""

    trouble: Callable[[], Exception] | None = None
    is_carried_out = False
    passes: Callable[[], object] = staticmethod(lambda: None)

    def commit_once(self, *writes: Write, clears_up: bool) -> None:
        """As the door does with what it may not repeat."""
        if (trouble := self.trouble) is None:
            super().commit_once(*writes, clears_up=clears_up)
            return
        self.trouble = None
        assert not clears_up, "a repeat by the door would not look at the clock"
        if self.is_carried_out:
            super().commit_once(*writes, clears_up=clears_up)
        self.passes()
        raise trouble()


def _unlucky(trouble: type[Exception], *, is_carried_out: bool = False) -> tuple[Shop, str]:
    shop = Shop(Unlucky())
    held = shop.hold(40)
    shop.store.trouble = lambda: trouble("injected")  # type: ignore[attr-defined]
    shop.store.is_carried_out = is_carried_out  # type: ignore[attr-defined]
    shop.store.passes = lambda: shop.clock.advance(seconds=61)  # type: ignore[attr-defined]
    return shop, held


@pytest.mark.parametrize("trouble", [NotDoneError, OutcomeUnknownError])
@pytest.mark.parametrize(
    "act",
    [
        lambda shop, held: closing.capture(shop.meter, held, 25),
        lambda shop, held: closing.release(shop.meter, held),
    ],
)
def test_a_hold_is_not_closed_by_a_retry_after_its_expiry(
    act: Callable[[Shop, str], object], trouble: type[Exception]
) -> None:
    """The first try met a conflict, or its answer was lost; then the time was up.

    The clock is looked at before each try.
    """
    shop, held = _unlucky(trouble)
    with pytest.raises(BillingError, match="hold_closed"):
        act(shop, held)
    assert shop.three() == (1, 0, 99)


def test_a_capture_whose_answer_was_lost_is_found_and_answered() -> None:
    """The row tells that it was done, also after the hold's time."""
    shop, held = _unlucky(OutcomeUnknownError, is_carried_out=True)
    assert closing.capture(shop.meter, held, 25).units == 25
    assert shop.three() == (26, 0, 74)


def test_a_capture_with_an_unknown_outcome_is_never_called_busy() -> None:
    """Its answer was lost, and afterwards there was no time to look."""
    shop, held = _unlucky(OutcomeUnknownError)

    def stop() -> None:
        shop.store.deadline._deadline = float("-inf")

    shop.store.passes = stop  # type: ignore[attr-defined]
    with pytest.raises(OutcomeUnknownError) as unknown:
        closing.capture(shop.meter, held, 25)
    assert not isinstance(unknown.value, NotDoneError)


def test_a_read_concurrent_with_an_expiry_shows_no_held_units(shop: Shop) -> None:
    """The balance was read before, the rows after: they are of two moments, and read anew."""
    shop.hold(40)
    shop.clock.advance(seconds=61)
    stored = Balance.from_item(shop.store.tables["quotas"]["alice", "quota"])
    shop.store.after_get.append(lambda: hold_expiry.give_back_expired(shop.books, "alice", stored))
    balance = debits.read(shop.books, "alice")
    assert (balance.held, balance.remaining) == (0, 99)


@pytest.mark.parametrize("more", [0, 1, 150])
def test_a_read_after_an_expiry_is_one_call_more(shop: Shop, more: int) -> None:
    """Also beside other holds; where they fill a page, another call reads the
    balance behind them.
    """
    shop.store.tables["quotas"]["alice", "quota"].update(total=400, remaining=399)
    memory._seen.clear()
    shop.hold(40)
    for _ in range(more):
        shop.hold(1, seconds=600)
    shop.clock.advance(seconds=61)
    assert shop.calls(lambda: debits.read(shop.books, "alice")) == (2 if more < 100 else 3)
    assert (debits.read(shop.books, "alice").held, debits.read(shop.books, "alice").remaining) == (
        more,
        399 - more,
    )


def test_a_read_never_shows_more_than_there_is(shop: Shop) -> None:
    """Rows that an index still shows though they were given back would be counted twice."""
    shop.hold(40)
    row = dict(
        next(
            item
            for (_, name), item in shop.store.tables["quotas"].items()
            if name.startswith("hold#")
        )
    )
    shop.clock.advance(seconds=61)
    stale, query = [row], shop.store.query

    def showing(*place: Any, **how: Any) -> Page:
        page = query(*place, **how)
        return Page([stale.pop(), *page.items], page.after) if stale else page

    hold_expiry.give_back_expired(
        shop.books, "alice", Balance.from_item(shop.store.tables["quotas"]["alice", "quota"])
    )
    shop.store.tables["quotas"]["alice", "quota"]["holds_due"] = row["expires_at"]
    shop.store.query = showing  # type: ignore[method-assign]
    balance = debits.read(shop.books, "alice")
    assert (balance.held, balance.remaining) == (0, 99)
