"""Computes the UTC months by which automatic charges are counted.

A customer's agreement to automatic top-ups limits the charges in a month.
"""

from datetime import datetime
from typing import Final

MONTH: Final = "%Y-%m"


def month_of(moment: datetime) -> str:
    """Return a time's UTC month as text, for example ``2026-01``."""
    return moment.strftime(MONTH)


def month_after(moment: datetime) -> datetime:
    """Return the time when the next UTC month starts."""
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if moment.month == 12:  # noqa: PLR2004 - December
        return first.replace(year=moment.year + 1, month=1)
    return first.replace(month=moment.month + 1)
