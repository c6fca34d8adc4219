"""Computes what an API key has used, and has left, in its limit's window.

The window is a UTC day, a UTC month or all time.
"""

from typing import Final

from billing.quota.balance import Balance
from billing.quota.key_bookmarks import Bookmark, Per
from billing.quota.key_use import left_of_limit, used

DAY_CHARS: Final = len("2026-01-02")
MONTH_CHARS: Final = len("2026-01")


def window_began(per: Per, use_day: str, today: str) -> bool:
    """Return whether a new day or month began after ``use_day``.

    ``per`` says which of the two. ``total`` never starts again.
    """
    if per == "total" or not use_day:
        return False
    chars = DAY_CHARS if per == "day" else MONTH_CHARS
    return use_day[:chars] < today[:chars]


def used_in(
    per: Per, balance: Balance, bookmark: Bookmark, name: str, today: str
) -> int:
    """Return what a live API key used in the current window.

    ``per`` is the window: a UTC day, a UTC month or all time. ``today`` says
    which one is current. ``name`` is the key's short name, and ``bookmark``
    what it had used when the day and the month began.
    """
    if window_began(per, balance.use_day, today):
        return 0
    return balance.keys.get(used(name), 0) - bookmark.base(per)


def left_today(
    balance: Balance, bookmark: Bookmark, name: str, today: str
) -> int | None:
    """Return what is left of an API key's limit, or None without a limit.

    It is negative if the limit was lowered below the use. ``bookmark`` is what
    the key had used when the day and the month began.
    """
    units = left_of_limit(balance, name)
    if units is None or bookmark.per is None:
        return units
    if window_began(bookmark.per, balance.use_day, today):
        units += balance.keys[used(name)] - bookmark.base(bookmark.per)
    return units
