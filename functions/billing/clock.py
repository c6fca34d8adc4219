"""Writes times as text: RFC 3339 in UTC with microseconds.

Such texts sort by time.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present time. Production uses this clock; tests pass their own."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Return a time as text, for example ``2026-01-02T03:04:05.000006Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def day(moment: datetime) -> str:
    """Return a time's UTC day as text, for example ``2026-01-02``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def from_epoch(seconds: int) -> str:
    """Return a time in epoch seconds as text, as ``stamp`` writes it."""
    return stamp(datetime.fromtimestamp(seconds, UTC))


def epoch(moment: datetime) -> int:
    """Return a time in epoch seconds, rounded down."""
    return int(moment.timestamp())


def epoch_after(moment: datetime) -> int:
    """Return a time in epoch seconds, rounded up, so that a duration is never cut short."""
    return math.ceil(moment.timestamp())


def to_epoch(text: str) -> int:
    """Return the epoch seconds of a text that ``stamp`` wrote.

    They are rounded down.
    """
    return epoch(datetime.fromisoformat(text))
