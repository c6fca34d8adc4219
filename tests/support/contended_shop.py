"""A shop beside which another container acts before each transaction."""

from collections.abc import Callable, Iterator
from typing import Any

from billing.books import Books
from billing.errors import NotDoneError
from billing.holds import placing
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
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
