"""Times as text: RFC 3339 in UTC, always with microseconds, so that text order is time order."""

import math
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the time now: the clock that production uses."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Return a time as text: ``2026-01-02T03:04:05.000006Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def day(moment: datetime) -> str:
    """Return the UTC day as text: ``2026-01-02``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def from_epoch(seconds: int) -> str:
    """Return epoch seconds, as Stripe's ``created`` and ``expires_at``, as text."""
    return stamp(datetime.fromtimestamp(seconds, UTC))


def epoch(moment: datetime) -> int:
    """Return epoch seconds, rounded down."""
    return int(moment.timestamp())


def epoch_after(moment: datetime) -> int:
    """Return epoch seconds, rounded up, so that a duration is never cut short."""
    return math.ceil(moment.timestamp())


def to_epoch(text: str) -> int:
    """Return the epoch seconds of a text that ``stamp`` made, rounded down."""
    return epoch(datetime.fromisoformat(text))
