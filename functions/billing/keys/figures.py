"""Shows an API key to its owner.

It has the key's limit, and its use today, this month and in all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from billing.answers import Count, Member, Time
from billing.clock import day
from billing.keys.limits import Limit
from billing.quota.balance import Balance
from billing.quota.key_bookmarks import Bookmark, Uses
from billing.quota.key_use import name_of, used
from billing.quota.key_windows import left_today, used_in

LimitRemaining = Annotated[
    Count,
    Member(
        description="in the current window, less what open holds took; null without a limit"
    ),
]
ResetsAt = Annotated[
    Time,
    Member(description="when the next window begins; null where none does"),
]


@dataclass(frozen=True, slots=True)
class Key:
    """Holds what an owner sees of an API key: its limit and use, no secret."""

    key_id: str
    name: str
    created_at: Time
    limit: Limit | None
    limit_remaining: LimitRemaining | None
    resets_at: ResetsAt | None
    used_today: Count
    used_this_month: Count
    used_total: Count


def show(
    row: Mapping[str, Any], balance: Balance, uses: Uses, now: datetime
) -> Key:
    """Return the API key in a stored row, as its owner sees it.

    If a new day or month has begun, its use is counted from zero, even if
    no write has done that yet.
    """
    limit, today = Limit.from_item(row), day(now)
    name = name_of(row["id"])
    bookmark = uses.live.get(name, Bookmark(row["id"]))
    return Key(
        key_id=row["id"],
        name=row["name"],
        created_at=row["created_at"],
        limit=limit,
        limit_remaining=remaining(limit, balance, bookmark, today),
        resets_at=limit.resets_at(now) if limit else None,
        used_today=used_in("day", balance, bookmark, name, today),
        used_this_month=used_in("month", balance, bookmark, name, today),
        used_total=balance.keys.get(used(name), 0),
    )


def remaining(
    limit: Limit | None, balance: Balance, bookmark: Bookmark, today: str
) -> int | None:
    """Return what is left of an API key's limit, or None without a limit.

    It is at least zero. ``bookmark`` has the key's counters when the day
    and month began.
    """
    if limit is None:
        return None
    units = left_today(balance, bookmark, name_of(bookmark.key_id), today)
    return limit.units if units is None else max(0, units)
