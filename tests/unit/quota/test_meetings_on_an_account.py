"""Two containers meet on one account: each act of theirs happens where the test puts it."""

from collections.abc import Callable
from itertools import count
from typing import Any, Final

import pytest
from billing.account import history
from billing.books import Books
from billing.errors import (
    BillingError,
    ConditionFailedError,
    Item,
    NotDoneError,
    OutcomeUnknownError,
)
from billing.holds import closing, placing
from billing.reconciliation import hold_sweep
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.reader import Page
from billing.storage.writes import Write
from support import builders, laws
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore

SHOP = "https://shop.example.com"
TAKE: Final[dict[str, Callable[[Meter, str, int], Any]]] = {
    "debit": lambda meter, customer, units: debits.debit_once(meter, customer, units, "me", "key"),
    "hold": lambda meter, customer, units: placing.place(meter, customer, units, 60),
}
_numbers = count(1)


class MeetingStore(MemoryStore):
    """Before each write, the next act of ``before`` takes place, until there is none."""

    def __init__(self) -> None:
        """No concurrent request yet."""
        super().__init__()
        self.before: list[Callable[[], object]] = []
        self.written = 0

    def commit(self, *writes: Write) -> None:
        """See MemoryStore."""
        if self.before:
            self.before.pop(0)()
        self.written += 1
        super().commit(*writes)


def _nothing() -> None:
    """No concurrent request comes."""


def _die() -> None:
    raise OutcomeUnknownError("the container is gone")


def _busy() -> None:
    raise NotDoneError("the account was busy; nothing was done")


@pytest.fixture
def customer() -> str:
    """A customer whom no container remembers."""
    return f"meeting-{next(_numbers)}"


@pytest.fixture
def store() -> MeetingStore:
    """Empty."""
    return MeetingStore()


def _books(store: MeetingStore, clock: Clock | None = None) -> Books:
    return builders.books_on(store, clock=clock)


def _buy(books: Books, customer: str) -> None:
    settlement.apply(books, fact(builders.completed(pending(books, customer))))


@pytest.mark.parametrize("used", [0, 10])
def test_a_day_that_has_begun_is_not_begun_again_by_a_slow_clock(
    store: MeetingStore, customer: str, used: int
) -> None:
    """Another container begins the day after and dies: what the slow one takes is of that day."""
    slow, fast = Clock(), Clock()
    _buy(_books(store, slow), customer)
    if used:
        debits.debit(Meter(_books(store, slow), SHOP), customer, used)
    slow.advance(days=1)
    fast.advance(days=2)

    def begin_the_day_after() -> None:
        store.before = [_nothing, _nothing, _die]
        with pytest.raises(OutcomeUnknownError):
            debits.debit(Meter(_books(store, fast), SHOP), customer, 1)

    store.before = [_nothing, begin_the_day_after]
    debits.debit(Meter(_books(store, slow), SHOP), customer, 3)
    first = history.entries(_books(store, slow), customer, 10, "")
    assert first["not_itemised"] == {"day": "2026-01-04", "units": 3}
    laws.check(store)


def test_a_keyed_debit_is_taken_though_the_account_changes_at_each_of_its_first_tries(
    store: MeetingStore, customer: str
) -> None:
    """It insists on what it has seen for a while, and then only on its units being there."""
    books = _books(store)
    _buy(books, customer)
    other = Meter(_books(store), SHOP)

    def spend() -> None:
        kept, store.before = store.before, []
        debits.debit(other, customer, 1)
        store.before = kept

    debits.debit(other, customer, 1)
    store.before = [spend] * 50
    before = store.written
    answer = debits.debit_once(Meter(books, SHOP), customer, 5, "backend", "key")
    own_writes = (store.written - before) - (50 - len(store.before))
    assert (answer.units, own_writes) == (5, 3)
    laws.check(store)


@pytest.mark.parametrize("by", TAKE)
def test_an_answer_never_shows_less_than_nothing(
    store: MeetingStore, customer: str, by: str
) -> None:
    """What it tells of what remains may be a moment old, but it is no debt."""
    books = _books(store)
    _buy(books, customer)
    other = Meter(_books(store), SHOP)
    debits.debit(other, customer, 97)

    def come_in() -> None:
        kept, store.before = store.before, []
        _buy(_books(store), customer)
        store.before = kept

    store.before = [_busy, come_in]
    meter = Meter(books, SHOP)
    answer = TAKE[by](meter, customer, 50)
    assert answer.remaining >= 0
    laws.check(store)


@pytest.mark.parametrize("by", TAKE)
def test_a_busy_account_is_read_again_before_the_next_attempt(
    store: MeetingStore, customer: str, by: str
) -> None:
    """Others spent meanwhile: the answer's figure is of now, and one further write is enough."""
    books = _books(store)
    _buy(books, customer)
    other = Meter(_books(store), SHOP)
    debits.debit(other, customer, 1)

    def spend_and_be_busy() -> None:
        store.before = []
        debits.debit(other, customer, 10)
        _busy()

    store.before = [spend_and_be_busy]
    before = store.written
    meter = Meter(books, SHOP)
    answer = TAKE[by](meter, customer, 5)
    assert (answer.remaining, store.written - before) == (84, 2)
    laws.check(store)


@pytest.mark.parametrize("by", TAKE)
def test_an_account_that_stays_busy_is_asked_until_the_time_is_up_and_loses_nothing(
    store: MeetingStore, customer: str, by: str
) -> None:
    """It is known that nothing was done."""
    books = _books(store)
    _buy(books, customer)
    store.before = [_busy] * 1000
    meter = Meter(books, SHOP)
    with pytest.raises(NotDoneError):
        TAKE[by](meter, customer, 5)
    store.before = []
    store.deadline.begin()  # another request
    assert debits.read(books, customer).remaining == 100
    laws.check(store)


@pytest.mark.parametrize("change", ["{}", "{}=", "{}A", "hold_{}", "x{}"])
def test_a_hold_has_one_name(store: MeetingStore, customer: str, change: str) -> None:
    """Another spelling finds nothing: who searches a log for the name misses no act."""
    books = _books(store)
    _buy(books, customer)
    meter = Meter(books, SHOP)
    name = placing.place(meter, customer, 5, 60).hold_id
    wrong = change.format(name.removeprefix("hold_") if change in ("{}", "x{}") else name)
    with pytest.raises(BillingError, match="not_found"):
        closing.capture(meter, wrong, 5)
    with pytest.raises(BillingError, match="not_found"):
        closing.release(meter, wrong)
    assert closing.release(meter, name).released == 5


def test_a_refused_write_of_the_store_is_no_answer_to_a_customer(
    store: MeetingStore, customer: str
) -> None:
    """A hold whose name is taken is placed under another one."""
    books = _books(store)
    _buy(books, customer)

    def refuse() -> None:
        raise ConditionFailedError({1: {"units": 1}})

    store.before = [refuse]
    assert placing.place(Meter(books, SHOP), customer, 5, 60).remaining == 95
    laws.check(store)


@pytest.mark.parametrize(
    ("fault", "said"), [(_busy, NotDoneError), (_die, OutcomeUnknownError)], ids=["busy", "died"]
)
def test_a_day_that_cannot_begin_is_reported_with_its_cause(
    store: MeetingStore, customer: str, fault: Callable[[], None], said: type[Exception]
) -> None:
    """Nothing was taken, and the answer says whether that is known."""
    clock = Clock()
    books = _books(store, clock)
    _buy(books, customer)
    debits.debit(Meter(books, SHOP), customer, 10)
    clock.advance(days=1)
    store.before = [_nothing, fault]
    with pytest.raises(said):
        debits.debit(Meter(books, SHOP), customer, 1)
    assert debits.read(books, customer).remaining == 90
    laws.check(store)


def test_a_day_that_a_restore_left_itemised_is_begun_once_by_two_containers(
    store: MeetingStore, customer: str
) -> None:
    """Its entry is there already, and the balance does not know it: debits go on for both."""
    clock = Clock()
    books = _books(store, clock)
    _buy(books, customer)
    debits.debit(Meter(books, SHOP), customer, 10)
    before = dict(store.tables["quotas"][customer, "quota"])
    clock.advance(days=1)
    debits.debit(Meter(books, SHOP), customer, 1)
    store.tables["quotas"][customer, "quota"] = before

    def begin_too() -> None:
        debits.debit(Meter(_books(store, clock), SHOP), customer, 2)

    store.before = [_nothing, _nothing, begin_too]
    debits.debit(Meter(books, SHOP), customer, 3)
    assert debits.read(books, customer).remaining == 85


def test_holds_that_are_not_due_are_not_read(store: MeetingStore, customer: str) -> None:
    """A customer with many open holds is read in as many calls as one with few."""
    clock = Clock()
    books = _books(store, clock)
    for _ in range(3):
        _buy(books, customer)
    meter = Meter(books, SHOP)
    placing.place(meter, customer, 1, 10)
    for _ in range(250):
        placing.place(meter, customer, 1, 3600)
    clock.advance(seconds=11)
    before = store.calls
    assert debits.read(books, customer).held == 250
    assert store.calls - before == 3


def test_a_sweep_that_has_seen_all_that_is_due_asks_no_further(
    store: MeetingStore, customer: str
) -> None:
    """It runs each minute, mostly in vain: a call for each mark of its index then."""
    books = _books(store)
    _buy(books, customer)
    placing.place(Meter(books, SHOP), customer, 5, 60)
    asked: list[int] = []
    due = store.due

    def count_and_ask(now_epoch: int, after: Item | None = None, mark: str = "open") -> Page:
        asked.append(now_epoch)
        return due(now_epoch, after, mark)

    store.due = count_and_ask  # type: ignore[method-assign]
    assert (hold_sweep.sweep_holds(books), len(asked)) == (0, 3)
