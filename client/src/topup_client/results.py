"""What the service answers, as types. Units are whole numbers; times are aware and in UTC."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Debit:
    """Units taken for good.

    ``replayed``: under this idempotency key they had been taken before, and were not again.
    """

    debit_id: str
    units: int
    remaining: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Units set aside until ``expires_at`` by the service's clock. Then they are given back.

    ``limit_remaining``: what is left of the key's limit, where the service says so.
    """

    hold_id: str
    units: int
    remaining: int
    expires_at: datetime
    limit_remaining: int | None = None


@dataclass(frozen=True, slots=True)
class ClosedHold:
    """A hold that is no more: ``units`` were taken for good, ``released`` were given back."""

    hold_id: str
    status: Literal["captured", "released"]
    units: int
    released: int
