"""Keeps the user's row ``uses``: one bookmark for each API key.

The row has what no debit needs: each key's id, its window, and the value of its counter when the
day and the month began. Every write of that row raises its ``version`` and the balance's
``keys_changed``. Writes that depend on what was read pin the latter.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple

from billing.errors import Item
from billing.quota.balance import Balance
from billing.storage.dynamodb import Store
from billing.storage.writes import Must, Write, absent, equals

Per = Literal["day", "month", "total"]
"""The window of a limit. Days and months are UTC."""
USES: Final = "uses"
"""Sorts after the balance's row, so that one query reads both."""
MARK: Final = "k"
"""First letter of a live key's attribute in that row; its short name follows."""
READS_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Bookmark:
    """One key's part of the row ``uses``."""

    key_id: str
    per: Per | None = None
    day: int = 0
    """``u`` when the day began."""
    month: int = 0
    """``u`` when the month began."""
    more: int = 0
    """Used beside ``u - day`` and in no ledger entry yet."""

    def base(self, per: Per) -> int:
        """Return the counter's value when the window began."""
        return {"day": self.day, "month": self.month, "total": 0}[per]


class Uses(NamedTuple):
    """The user's row ``uses``: one bookmark for each key."""

    live: Mapping[str, Bookmark]
    """By the key's short name."""
    revoked: Mapping[str, Bookmark]
    """Revoked keys whose use is in no ledger entry yet."""
    version: int = 0
    """Equals ``keys_changed`` of the balance, unless the two are of two moments."""


def read_uses(store: Store, user_id: str) -> Uses:
    """Return the row ``uses``. Read it after the balance, so that a pinned balance pins it too."""
    return uses_from(store.get("quotas", (user_id, USES)))


def read_both(store: Store, user_id: str) -> tuple[Balance, Uses]:
    """Return the balance and the row ``uses``, read with one query.

    A query is not atomic: a write between the two rows is seen by their versions.
    """
    balance, uses = Balance(), Uses({}, {})
    for _ in range(READS_MAX):
        page = store.query("quotas", user_id, prefix="quota", up_to=USES)
        rows = {row["item"]: row for row in page.items}
        balance = Balance.from_item(rows.get("quota"))
        uses = uses_from(rows.get(USES))
        if uses.version == balance.keys_changed:
            break
    return balance, uses


def uses_from(item: Item | None) -> Uses:
    """Return the ``Uses`` in a stored row."""
    stored = item or {}
    live = {
        name[1:]: Bookmark(**kept)
        for name, kept in stored.items()
        if name[0] == MARK and isinstance(kept, dict)
    }
    revoked = {
        name: Bookmark(**kept)
        for name, kept in stored.get("revoked", {}).items()
    }
    return Uses(live, revoked, stored.get("version", 0))


def write_uses(
    user_id: str,
    live: Mapping[str, Bookmark],
    revoked: Mapping[str, Bookmark] | None = None,
    remove: tuple[str, ...] = (),
) -> Write:
    """Return the write of some live keys, by short name, and of all ``revoked`` keys.

    The balance's write of the same transaction must ``BUMP``.
    """
    values: dict[str, Any] = {
        f"{MARK}{name}": _kept(bookmark) for name, bookmark in live.items()
    }
    if revoked is not None:
        values["revoked"] = {
            name: _kept(bookmark) for name, bookmark in revoked.items()
        }
    marks = tuple(f"{MARK}{name}" for name in remove)
    add = {"version": 1}
    return Write("quotas", (user_id, USES), set=values, add=add, remove=marks)


def _kept(bookmark: Bookmark) -> dict[str, Any]:
    """Leave out zeros: the row stays small."""
    return {name: value for name, value in asdict(bookmark).items() if value}


BUMP: Final[Mapping[str, int]] = {"keys_changed": 1}


def pin(balance: Balance) -> Must:
    """Return the clause that no key was created, changed, revoked or rolled over since the read."""
    if balance.keys_changed:
        return equals("keys_changed", balance.keys_changed)
    return absent("keys_changed")
