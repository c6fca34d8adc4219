"""Keeps the user's row ``uses``: one bookmark for each API key.

A bookmark has what a debit does not read: the key's id, whether its limit is
per day, per month or in all, and the value of its counter when the day and the
month began. Every write of that row raises its ``version`` and the balance's
``keys_changed``. A write that depends on what was read requires that
``keys_changed`` is still the same.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple

from billing.errors import Item
from billing.quota.balance import Balance
from billing.storage.dynamodb import Store
from billing.storage.writes import Must, Write, absent, equals

Per = Literal["day", "month", "total"]
"""The window of an API key's limit. Days and months are UTC."""
USES: Final = "uses"
"""The range key of the row that has a user's bookmarks. It sorts after the
balance's, so that one query reads both.
"""
MARK: Final = "k"
"""The first letter of the attribute that a live API key has in the row
``uses``. The key's short name follows.
"""
READS_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Bookmark:
    """What is stored of one API key, to compute its use per day and month.

    ``day`` and ``month`` are the units that the key had ever used when the
    day and the month began. ``per`` is the period of its limit (a day, a
    month or all time), or None without a limit.
    """

    key_id: str
    per: Per | None = None
    day: int = 0
    """The API key's counter ``u`` when the day began."""
    month: int = 0
    """The API key's counter ``u`` when the month began."""
    more: int = 0
    """Units used besides ``u - day`` that are not in any ledger entry yet: of
    an earlier day, or of a revoked key.
    """

    def base(self, per: Per) -> int:
        """Return the API key's counter when the window ``per`` began.

        The window is a day, a month or all time.
        """
        return {"day": self.day, "month": self.month, "total": 0}[per]


class Uses(NamedTuple):
    """The user's row ``uses``: one bookmark for each API key.

    A bookmark is what the key had used when the day and the month began.
    """

    live: Mapping[str, Bookmark]
    """The bookmarks of live API keys, by short name."""
    revoked: Mapping[str, Bookmark]
    """The bookmarks of revoked API keys whose last use is not in any ledger
    entry yet.
    """
    version: int = 0
    """Equals ``keys_changed`` of the balance if both were read at the same
    moment.
    """


def read_uses(store: Store, user_id: str) -> Uses:
    """Return the user's row ``uses``: a bookmark for each API key.

    A bookmark is what the key had used when the day and the month began. Read
    the balance before this. Each change of the row also changes the balance,
    so if the row changes after that, DynamoDB refuses a write that has the
    condition ``pin(balance)``.
    """
    return uses_from(store.get("quotas", (user_id, USES)))


def read_both(store: Store, user_id: str) -> tuple[Balance, Uses]:
    """Return the balance and the row ``uses``, read with one query.

    The row has a bookmark for each API key: what it had used when the day and
    the month began. A query is not atomic. If the versions show a write
    between the two rows, it reads both again.
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
    """Return the user's row ``uses`` in a stored item.

    It has a bookmark for each API key: what the key had used when the day and
    the month began. Without an item (None) there are no bookmarks.
    """
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
    """Return the write that changes bookmarks in the user's row ``uses``.

    A bookmark is what an API key had used when the day and the month began.
    The write sets those in ``live`` and removes those in ``remove``, each by
    the key's short name, a hash of its id. ``revoked`` replaces the bookmarks
    of all revoked keys; None leaves them. The same transaction must add BUMP
    to the balance, to show that this row has changed.
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
    """Return a bookmark as it is stored: without zeros, to save space.

    A bookmark is what an API key had used when the day and the month
    began.
    """
    return {name: value for name, value in asdict(bookmark).items() if value}


BUMP: Final[Mapping[str, int]] = {"keys_changed": 1}


def pin(balance: Balance) -> Must:
    """Return the condition that the user's API keys have not changed.

    It makes DynamoDB refuse a write if a key was created, changed or revoked
    since ``balance`` was read, or if the counting of the keys' use per day was
    started for a new day.
    """
    if balance.keys_changed:
        return equals("keys_changed", balance.keys_changed)
    return absent("keys_changed")
