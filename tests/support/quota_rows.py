"""Alice's account, lots and holds as rows of the quotas' table."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from billing.books import Books
from billing.lots.lot import Lot
from billing.quota.balance import Balance
from billing.quota.key_use import KeyUse
from billing.settings import Telling
from billing.spending import memory
from billing.spending.meter import Meter
from billing.storage.writes import Must, Write
from support import builders
from support.builders import Still
from support.fakes.memory_store import MemoryStore
from support.fakes.recording_store import Recorder

SITE: Final = "https://shop.example.com"
NOW: Final = "2026-01-02T03:04:05.000000Z"
NOW_EPOCH: Final = 1_767_323_045
TODAY: Final = "2026-01-02"
KEY_ID: Final = "key_000000000000000000000000"
KEY: Final = KeyUse(KEY_ID)
ACCOUNT: Final = ("alice", "quota")
NEW: Final = (Must("user_id", "absent"),)
EARLIER_KEY: Final = "lot#999999999999#1#0000000000000000#earlier"


def is_(name: str, value: object) -> Must:
    """The condition that an attribute has this value."""
    return Must(name, "==", value)


def lot(name: str, free: int, held: int = 0, expires_at: int = 0, **members: Any) -> Lot:
    """A grant's, unless told otherwise."""
    return Lot(name, "grant", 20, free, held, expires_at, 1, name, **members)


def due_lots(number: int, seconds: int = 0) -> list[Lot]:
    """So many lots of one unit each, which expire in so many seconds."""
    return [lot(f"{one:04d}", 1, 0, NOW_EPOCH + seconds) for one in range(number)]


def key(name: str, expires_at: int = 0) -> str:
    """Of that lot."""
    return f"lot#{expires_at or 999999999999:012d}#0#{1:016d}#{name}"


def keep(store: MemoryStore, *lots: Lot, **figures: Any) -> Balance:
    """Alice's account and lots, as rows."""
    rows = store.tables["quotas"]
    for one in lots:
        rows["alice", one.key] = {"user_id": "alice", "item": one.key, **one.to_item()}
    rows["alice", "quota"] = {"user_id": "alice", "item": "quota", **figures}
    rows["alice", "lon"] = {"user_id": "alice", "item": "lon"}
    rows["alice", "lou"] = {"user_id": "alice", "item": "lou"}
    return Balance.from_item(figures)


class World:
    """Her account as rows, and what is written and told of it. The clock stands."""

    def __init__(self) -> None:
        """Nothing is seen yet."""
        memory._seen.clear()
        self.store, self.clock = Recorder(), Still()
        self.books: Books = builders.books_on(self.store, clock=self.clock)
        self.meter = Meter(self.books, SITE)

    def tells(self, low_at: int) -> None:
        """Events go out from now on."""
        self.books = replace(self.books, telling=Telling(is_on=True, low_at=low_at))
        self.meter = self.meter._replace(books=self.books)

    def keep(self, item: str = "quota", **members: Any) -> None:
        """Keep one row of hers."""
        row = {"user_id": "alice", "item": item, **members}
        self.store.tables["quotas"]["alice", item] = row

    def has(self, **figures: Any) -> Balance:
        """Keep her account, on which today has begun. Return it."""
        self.keep(**{"use_day": TODAY, **figures})
        return Balance.from_item(self.row)

    def holds(self, number: int, units: int, seconds: int = 60, **members: Any) -> dict[str, Any]:
        """Keep the row of an open hold that expires in so many seconds. Return it."""
        at = NOW_EPOCH + seconds
        item = f"hold#{at:012d}#{number:016x}"
        self.keep(item, units=units, expires_at=at, open="open", **members)
        return self.store.tables["quotas"]["alice", item]

    @property
    def row(self) -> dict[str, Any]:
        """Her account's."""
        return self.store.tables["quotas"][ACCOUNT]

    @property
    def only(self) -> tuple[Write, ...]:
        """The one transaction that there was."""
        (writes,) = self.store.transactions
        return writes

    def calls(self, act: Callable[[], object]) -> int:
        """How many calls an act takes."""
        before = self.store.calls
        act()
        return self.store.calls - before

    def events(self) -> list[tuple[int, str]]:
        """What was told, in its order."""
        rows = self.store.tables["notices"].values()
        return sorted((row["sequence"], row["type"]) for row in rows)
