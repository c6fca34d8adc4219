"""Keeps the days and months of keys: when each began, and what each key used in it.

The user's row ``uses`` has what no debit needs: each key's id, its window, and the value of its
counter when the day and the month began. Every write of that row raises its ``version`` and the
balance's ``keys_changed``. Writes that depend on what was read pin the latter.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, NamedTuple

from billing.errors import Item
from billing.quota.balance import Balance, Movement
from billing.quota.key_use import gone, left, left_of_limit, name_of, used
from billing.storage.dynamodb import Store
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write, absent, equals, exists

Per = Literal["day", "month", "total"]
"""The window of a limit. Days and months are UTC."""
USES: Final = "uses"
"""Sorts after the balance's row, so that one query reads both."""
NAMES: Final = "name#"
"""In the table of keys, the rows of the user's short names."""
MARK: Final = "k"
"""First letter of a live key's attribute in that row; its short name follows."""
READS_MAX: Final = 5
DAY_CHARS: Final = len("2026-01-02")
MONTH_CHARS: Final = len("2026-01")
FOLDED_MAX: Final = 90
"""Revoked keys moved to their rows in one transaction, within DynamoDB's 100 writes."""


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


def name_row(user_id: str, name: str) -> tuple[str, str]:
    """Return the key of the row that reserves a short name for ever.

    It also has the total use of a revoked key.
    """
    return (user_key(user_id), f"{NAMES}{name}")


def user_of(owner: str) -> str:
    """Return the user of a row of the table of keys."""
    return owner.removeprefix(user_key(""))


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


def window_began(per: Per, use_day: str, today: str) -> bool:
    """Return whether a new window of this kind began after ``use_day``."""
    if per == "total" or not use_day:
        return False
    chars = DAY_CHARS if per == "day" else MONTH_CHARS
    return use_day[:chars] < today[:chars]


def used_in(
    per: Per, balance: Balance, bookmark: Bookmark, name: str, today: str
) -> int:
    """Return what a live key used in the window that is open ``today``."""
    if window_began(per, balance.use_day, today):
        return 0
    return balance.keys.get(used(name), 0) - bookmark.base(per)


def left_today(
    balance: Balance, bookmark: Bookmark, name: str, today: str
) -> int | None:
    """Return what is left of a key's limit ``today``, or None without a limit.

    It may be negative.
    """
    units = left_of_limit(balance, name)
    if units is None or bookmark.per is None:
        return units
    if window_began(bookmark.per, balance.use_day, today):
        units += balance.keys[used(name)] - bookmark.base(bookmark.per)
    return units


class RollOver(NamedTuple):
    """The changes of an account's keys at the begin of a new day."""

    movement: Movement
    remove: tuple[str, ...]
    writes: tuple[Write, ...]
    by_key: Mapping[str, int]
    """Units that the past day's entry shows, by key id."""

    def onto(self, account: Write) -> Write:
        """Return the account's write with the changes of the keys added."""
        return account._replace(
            add={**account.add, **self.movement.add},
            remove=(*account.remove, *self.remove),
            must=(*account.must, *self.movement.must),
        )


def roll_over(
    store: Store, user_id: str, balance: Balance, today: str, *, is_booked: bool
) -> RollOver:
    """Begin a new day for the keys' counters.

    Limits whose window ended get back what was used in it. ``is_booked``: the day's use goes into
    a ledger entry now; otherwise it waits for the next one.
    """
    if not balance.keys_changed:
        return RollOver(Movement({}), (), (), {})
    uses = read_uses(store, user_id)
    folds = _folds(user_id, balance, uses)
    back: dict[str, int] = {}
    live: dict[str, Bookmark] = {}
    revoked: dict[str, Bookmark] = {}
    for name, bookmark in uses.live.items():
        more = 0 if is_booked else _used_since(bookmark, balance, name)
        if used(name) in balance.keys:
            back |= _gives_back(bookmark, balance, name, today)
            live[name] = replace(
                _begin(bookmark, balance, name, today), more=more
            )
        elif gone(name) not in folds:
            day = balance.keys.get(gone(name), 0)
            live[name] = Bookmark(bookmark.key_id, day=day, more=more)
        elif more:
            revoked[name] = Bookmark(bookmark.key_id, more=more)
    if not is_booked:
        revoked |= uses.revoked
    by_key = not_itemised(balance, uses) if is_booked else {}
    dropped = tuple(gone_name[1:] for gone_name in folds)
    row = write_uses(user_id, live, revoked, dropped)
    movement = Movement({**back, **BUMP}, (pin(balance),))
    return RollOver(movement, tuple(folds), (row, *folds.values()), by_key)


def _used_since(bookmark: Bookmark, balance: Balance, name: str) -> int:
    """Return what a key, live or revoked, used and no ledger entry shows."""
    for counter in (used(name), gone(name)):
        if counter in balance.keys:
            return bookmark.more + balance.keys[counter] - bookmark.day
    return bookmark.more


def not_itemised(balance: Balance, uses: Uses) -> dict[str, int]:
    """Return the use of each key that no ledger entry shows yet, by key id."""
    units = {mark.key_id: mark.more for mark in uses.revoked.values()}
    for name, bookmark in uses.live.items():
        units[bookmark.key_id] = _used_since(bookmark, balance, name)
    return {key_id: count for key_id, count in units.items() if count}


def _begin(
    bookmark: Bookmark, balance: Balance, name: str, today: str
) -> Bookmark:
    """Return a live key's bookmark at the begin of a day."""
    total = balance.keys[used(name)]
    begins = window_began("month", balance.use_day, today)
    return replace(
        bookmark, day=total, month=total if begins else bookmark.month
    )


def _gives_back(
    bookmark: Bookmark, balance: Balance, name: str, today: str
) -> dict[str, int]:
    """Return what was used of a limit in the window that has ended.

    A key without a limit gets it back each day.
    """
    per = bookmark.per or "day"
    if left(name) not in balance.keys:
        return {}
    if not window_began(per, balance.use_day, today):
        return {}
    units = balance.keys[used(name)] - bookmark.base(per)
    return {left(name): units} if units else {}


def _folds(user_id: str, balance: Balance, uses: Uses) -> dict[str, Write]:
    """Return the writes that move revoked keys' totals to their rows, by attribute."""
    names = [name for name in uses.live if gone(name) in balance.keys]
    return {
        gone(name): _add_to_row(
            user_id, uses.live[name].key_id, balance.keys[gone(name)]
        )
        for name in names[:FOLDED_MAX]
    }


def _add_to_row(user_id: str, key_id: str, units: int) -> Write:
    """Return the write that adds to the total in a revoked key's own row."""
    return Write(
        "keys",
        name_row(user_id, name_of(key_id)),
        set={"key_id": key_id},
        add={"used": units},
    )


def fold(store: Store, user_id: str, key_id: str) -> tuple[Write, ...]:
    """Return the writes that move a revoked key's total to its own row.

    None if it is moved already.
    """
    balance, uses = read_both(store, user_id)
    name = name_of(key_id)
    total = balance.keys.get(gone(name))
    if total is None:
        return ()
    bookmark = uses.live.get(name, Bookmark(key_id))
    revoked = dict(uses.revoked)
    if more := bookmark.more + total - bookmark.day:
        revoked[name] = Bookmark(key_id, more=more)
    account = Write(
        "quotas",
        (user_id, "quota"),
        add=BUMP,
        remove=(gone(name),),
        must=(pin(balance), equals(gone(name), total)),
    )
    row = write_uses(user_id, {}, revoked, remove=(name,))
    return (account, row, _add_to_row(user_id, key_id, total))


class Captured(NamedTuple):
    """The changes that a capture makes for the key of its hold."""

    movement: Movement
    writes: tuple[Write, ...] = ()


def capture(
    store: Store, user_id: str, balance: Balance, key_id: str, units: int
) -> Captured:
    """Return the changes of a key's counters when units of its hold are captured."""
    name = name_of(key_id)
    if not units:
        return Captured(Movement({}))
    for counter in (used(name), gone(name)):
        if counter in balance.keys:
            return Captured(Movement({counter: units}, (exists(counter),)))
    uses = read_uses(store, user_id)
    bookmark = uses.revoked.get(name, Bookmark(key_id))
    more = replace(bookmark, more=bookmark.more + units)
    row = write_uses(user_id, {}, {**uses.revoked, name: more})
    return Captured(
        Movement(BUMP, (pin(balance),)),
        (row, _add_to_row(user_id, key_id, units)),
    )
