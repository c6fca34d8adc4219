"""How a lease behaves, and the clock it goes by."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Final, TypedDict

Clock = Callable[[], float]
clock: Final[Clock] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_BOOTTIME")
    else time.monotonic
)
"""Seconds that nobody can set back, and that pass while the machine sleeps, too:
https://man7.org/linux/man-pages/man2/clock_gettime.2.html"""
ROUNDING_SECONDS: Final = 1
"""The service keeps expiries in whole seconds, rounded down."""


class Options(TypedDict, total=False):
    """The members of ``Terms``, as a lease takes them by name."""

    size: int
    low_water: int | None
    lifetime_seconds: int
    margin_seconds: float
    refusal_seconds: float
    ahead_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a lease behaves.

    Two calls a hold: with 2 500 units a hold that is fewer than one call for every 1 000 units.

    A fifth of them is left for the ends, and for holds that are renewed before they are spent.
    """

    size: int = 2500
    """Units a hold, at most."""
    low_water: int | None = None
    """The next hold is fetched when fewer units are left; a quarter of ``size`` unless given. A
    smaller hold has a low water smaller in proportion."""
    ahead_seconds: float | None = 20
    """A hold has the units that are spent in this time. A lease that spends nothing for half of it
    gives its units back. None: every hold has ``size`` units and keeps them, for one process that
    has its customers for itself."""
    lifetime_seconds: int = 60
    """How long the service keeps a hold: after this a killed process's units are back."""
    margin_seconds: float = 10
    """Units are not spent in the last seconds of a hold, which are for capturing it."""
    refusal_seconds: float = 1
    """How long "exhausted" is answered from memory, so that a customer without units costs one call
    a second."""

    def __post_init__(self) -> None:
        """Raise ValueError for terms that cannot work."""
        if self.size < 1:
            raise ValueError(f"size must be 1 or more units, not {self.size}")
        if not 0 <= self.low < self.size:
            raise ValueError(
                f"low_water must be 0 or more and less than size ({self.size}), "
                f"not {self.low_water}"
            )
        if not 1 <= self.lifetime_seconds <= 86_400:  # noqa: PLR2004 - the service's own bounds
            raise ValueError(f"lifetime_seconds must be 1 to 86 400, not {self.lifetime_seconds}")
        if not 0 < self.margin_seconds < self.lifetime_seconds - ROUNDING_SECONDS:
            raise ValueError(
                "margin_seconds must be above 0 and below lifetime_seconds - 1, "
                f"not {self.margin_seconds}"
            )
        if self.ahead_seconds is not None and self.ahead_seconds <= 0:
            raise ValueError(f"ahead_seconds must be above 0 or None, not {self.ahead_seconds}")
        if self.refusal_seconds <= 0:
            raise ValueError(f"refusal_seconds must be above 0, not {self.refusal_seconds}")

    @property
    def low(self) -> int:
        """``low_water``, decided."""
        return self.size // 4 if self.low_water is None else self.low_water

    @property
    def idle_seconds(self) -> float:
        """A lease that spends nothing for so long gives its units back."""
        return inf if self.ahead_seconds is None else self.ahead_seconds / 2

    @property
    def usable_seconds(self) -> float:
        """How long units of a hold are spent; a hold that is too large ends before its time."""
        until_margin = self.lifetime_seconds - ROUNDING_SECONDS - self.margin_seconds
        return (
            until_margin
            if self.ahead_seconds is None
            else min(until_margin, 2 * self.ahead_seconds)
        )
