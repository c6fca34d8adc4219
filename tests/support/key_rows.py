"""Four keys on alice's account: one is live, one revoked, one has no counter, one no limit."""

from collections.abc import Mapping
from typing import Any, Final

from billing.quota.balance import Balance
from billing.quota.key_bookmarks import Bookmark, Uses
from billing.storage.writes import Must, Write
from support.fakes.memory_store import MemoryStore

LIVE: Final = "key_000000000000000000000000"
GONE: Final = "key_111111111111111111111111"
LOST: Final = "key_222222222222222222222222"
FREE: Final = "key_333333333333333333333333"
TODAY: Final = "2026-02-01"
USES: Final[dict[str, Any]] = {
    "user_id": "alice",
    "item": "uses",
    "version": 7,
    "kR6Cr": {"key_id": LIVE, "per": "day", "day": 10, "month": 4, "more": 1},
    "kWTEj": {"key_id": GONE, "per": "total", "day": 20, "more": 2},
    "k-lpp": {"key_id": LOST, "day": 5, "more": 3},
    "kbJqv": {"key_id": FREE},
    "revoked": {"AAAA": {"key_id": "key_a", "more": 9}},
    "known": "of a newer version",
    "kind": "of a newer version",
}
READ: Final = Uses(
    {
        "R6Cr": Bookmark(LIVE, "day", 10, 4, 1),
        "WTEj": Bookmark(GONE, "total", 20, 0, 2),
        "-lpp": Bookmark(LOST, None, 5, 0, 3),
        "bJqv": Bookmark(FREE, None, 0, 0, 0),
    },
    {"AAAA": Bookmark("key_a", None, 0, 0, 9)},
    7,
)
KEYS: Final = {"uR6Cr": 16, "rR6Cr": 4, "xWTEj": 25, "ubJqv": 8, "rbJqv": 10**12 - 8}
PINNED: Final = (Must("keys_changed", "==", 7),)


def store_of_keys() -> MemoryStore:
    """With the row of their uses."""
    made = MemoryStore()
    made.tables["quotas"]["alice", "uses"] = USES
    return made


def account_of_keys(**members: Any) -> Balance:
    """Theirs, with these members."""
    return Balance(**{"use_day": "2026-01-31", "keys_changed": 7, "keys": KEYS, **members})


def written_uses(values: Mapping[str, Any], remove: tuple[str, ...] = ()) -> Write:
    """The write of that row."""
    return Write("quotas", ("alice", "uses"), set=values, add={"version": 1}, remove=remove)


def folded_total(name: str, key_id: str, units: int) -> Write:
    """The write that adds what a key used to its own row."""
    place = ("user#alice", f"name#{name}")
    return Write("keys", place, set={"key_id": key_id}, add={"used": units})
