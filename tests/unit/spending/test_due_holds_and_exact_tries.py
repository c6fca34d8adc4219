"""When the next hold expires, and how often a transaction insists on what was seen."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from billing.books import Books
from billing.errors import NotDoneError
from billing.holds import placing
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.spending.tries import EXACT_TRIES
from billing.storage.writes import Write
from support import builders, laws
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore


class Contended(MemoryStore):
    """Another container acts before each transaction while ``meanwhile`` has acts left."""

    def __init__(self) -> None:
        """No concurrent act yet."""
        super().__init__()
        self.meanwhile: Iterator[Callable[[], object]] = iter(())
        self.tries = 0

    def commit(self, *writes: Write) -> None:
        """See MemoryStore."""
        self.tries += 1
        if act := next(self.meanwhile, None):
            act()
        super().commit(*writes)

    def spend_one(self) -> None:
        """A debit of another container."""
        account = self.tables["quotas"]["alice", "quota"]
        account["remaining"] -= 1
        account["used"] += 1

    def collide(self) -> None:
        """A debit of another container, whose transaction keeps this one off the account."""
        self.spend_one()
        raise NotDoneError("TransactionConflict")


class Shop:
    """Alice has bought 100 units and spent one."""

    def __init__(self) -> None:
        """Buy, and begin the day."""
        memory._seen.clear()
        self.store = Contended()
        self.clock = Clock()
        self.books: Books = builders.books_on(self.store, clock=self.clock)
        self.meter = Meter(self.books, "https://shop.example.com")
        settlement.apply(self.books, fact(builders.completed(pending(self.books))))
        debits.debit(self.meter, "alice", 1)

    def hold(self, units: int, seconds: int = 600) -> None:
        """Place a hold."""
        placing.place(self.meter, "alice", units, seconds)

    def remaining(self) -> int:
        """As a reader sees it; the laws hold."""
        laws.check(self.store)
        return debits.read(self.books, "alice").remaining

    def tries_amid(self, *acts: Callable[[], object]) -> int:
        """How many transactions a hold takes while others act before each."""
        self.store.tries, self.store.meanwhile = 0, iter(acts)
        self.hold(1)
        self.store.meanwhile = iter(())
        return self.store.tries

    @property
    def account(self) -> dict[str, Any]:
        """The account's row."""
        return self.store.tables["quotas"]["alice", "quota"]


@pytest.fixture
def shop() -> Shop:
    """Open."""
    return Shop()


def test_a_transaction_insists_twice_on_what_remains(shop: Shop) -> None:
    """The third only demands that the units are there, though others spend all the time."""
    assert EXACT_TRIES == 2
    assert shop.tries_amid(*[shop.store.spend_one] * 10) == 3
    assert shop.remaining() == 95


def test_a_transaction_that_collided_insists_on_nothing(shop: Shop) -> None:
    """What was seen is stale by then: the second asks for enough alone."""
    assert shop.tries_amid(shop.store.collide, *[shop.store.spend_one] * 10) == 2
    assert shop.remaining() == 96


def test_an_account_is_read_again_after_the_first_collision_only(shop: Shop) -> None:
    """Further transactions need no figure that could be stale."""
    shop.hold(1)
    before = shop.store.calls
    assert shop.tries_amid(*[shop.store.collide] * 3) == 4
    assert shop.store.calls - before == 2, "one read, and the transaction that was carried out"


def test_spending_is_one_call_while_a_later_hold_is_open(shop: Shop) -> None:
    """The release of the first hold notes when the second is due."""
    shop.hold(10, seconds=60)
    shop.hold(20, seconds=600)
    due = shop.account["holds_due"]
    shop.clock.advance(seconds=61)
    debits.debit(shop.meter, "alice", 1)
    assert shop.account["holds_due"] == due + 540
    before = shop.store.calls
    debits.debit(shop.meter, "alice", 1)
    assert shop.store.calls - before == 1
    assert shop.remaining() == 77


def test_an_account_without_open_holds_has_nothing_due(shop: Shop) -> None:
    """The release of the last hold leaves no time at which to look."""
    shop.hold(10, seconds=60)
    shop.clock.advance(seconds=61)
    debits.debit(shop.meter, "alice", 1)
    assert "holds_due" not in shop.account
    assert shop.remaining() == 98


def test_a_hold_that_releases_the_last_one_is_due_itself(shop: Shop) -> None:
    """Both are one transaction, which names ``holds_due`` once."""
    shop.hold(10, seconds=60)
    first_due = shop.account["holds_due"]
    shop.clock.advance(seconds=61)
    shop.hold(20, seconds=60)
    assert shop.account["holds_due"] == first_due + 61
    shop.clock.advance(seconds=61)
    debits.debit(shop.meter, "alice", 99)
    assert shop.remaining() == 0
