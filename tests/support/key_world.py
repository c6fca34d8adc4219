"""Alice's API keys, their limits and their use, by the product's own functions."""

from typing import Any

from billing.books import Books
from billing.holds import placing
from billing.holds.hold import Hold
from billing.keys import api_keys, changes, counting, holders
from billing.keys.figures import Key
from billing.keys.limits import Limit
from billing.quota.key_use import KeyUse
from billing.settlement import settlement
from billing.spending import debits, memory
from billing.spending.meter import Meter
from support import builders, laws
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore

TEN_A_DAY = Limit(10, "day")
OLD = f"key_{'0' * 23}1"
"""A key of before there were counts."""


class World:
    """Alice has bought 100 units. What was taken is checked against the laws at every look."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        """Nothing is used, and there is no key."""
        memory._seen.clear()
        self.clock = Clock()
        self.store = store or MemoryStore()
        self.books: Books = builders.books_on(self.store, clock=self.clock)
        self.meter = Meter(self.books, "https://shop.example.com")
        settlement.apply(self.books, fact(builders.completed(pending(self.books))))

    def key(self, limit: Limit | None = None) -> str:
        """Return the id of a new key."""
        return api_keys.create(self.books, "alice", "dev", "laptop", limit).key_id

    def debit(self, key_id: str, units: int = 1) -> debits.Debit:
        """Debit for a key."""

        def take(key: KeyUse | None) -> debits.Debit:
            return debits.debit(self.meter, "alice", units, key)

        return counting.spend_for(self.books, "alice", key_id, take)

    def hold(self, key_id: str, units: int = 1, at_least: int = 0, seconds: int = 60) -> Hold:
        """Place a hold for a key."""

        def take(key: KeyUse | None) -> Hold:
            return placing.place(self.meter, "alice", units, seconds, at_least=at_least, key=key)

        return counting.spend_for(self.books, "alice", key_id, take)

    def change(self, key_id: str, **changed: Any) -> Key:
        """PATCH."""
        return changes.change(self.books, "alice", key_id, changed)

    def shown(self, key_id: str) -> Key:
        """Return the key as the list shows it, once the laws hold."""
        laws.check(self.store)
        (key,) = [key for key in api_keys.list_all(self.books, "alice") if key.key_id == key_id]
        return key

    def figures(self, key_id: str) -> tuple[int | None, int, int, int]:
        """Return what is left of the limit, and used today, this month and in all."""
        key = self.shown(key_id)
        return key.limit_remaining, key.used_today, key.used_this_month, key.used_total


def key_of_old(world: World, number: int) -> str:
    """A key as it was made before keys were counted."""
    name = f"{number:024x}"
    row = {"name": "old", "created_at": "2025-01-01T00:00:00.000000Z"}
    world.store.tables["keys"]["user#alice", f"key_{name}"] = {
        "owner": "user#alice",
        "id": f"key_{name}",
        **row,
    }
    world.store.tables["keys"][f"key#{name}", "key"] = {
        "owner": f"key#{name}",
        "id": "key",
        "hash": holders.NO_HASH,
        "user_id": "alice",
    }
    return f"key_{name}"
