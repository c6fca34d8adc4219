"""Moments as text: RFC 3339 in UTC, always with microseconds, so that text order is time order."""

import math
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock that production uses."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """``2026-01-02T03:04:05.000006Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def day(moment: datetime) -> str:
    """``2026-01-02``, the UTC day."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d")


def from_epoch(seconds: int) -> str:
    """Stripe's ``created`` and ``expires_at`` are epoch seconds."""
    return stamp(datetime.fromtimestamp(seconds, UTC))


def epoch(moment: datetime) -> int:
    """Whole seconds, rounded down."""
    return int(moment.timestamp())


def epoch_after(moment: datetime) -> int:
    """Whole seconds, rounded up: what is to last so long lasts no less."""
    return math.ceil(moment.timestamp())


def to_epoch(text: str) -> int:
    """The reverse of ``stamp``, in whole seconds."""
    return epoch(datetime.fromisoformat(text))
