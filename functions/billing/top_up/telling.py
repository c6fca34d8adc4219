"""Decides which events out follow from a change of an agreement. It is pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from billing.top_up.agreement import Agreement


@dataclass(frozen=True, slots=True)
class Told:
    """One event out. ``reason`` is why charges have ended, or "" for a decline that is retried."""

    type: Literal["top_up.failed", "top_up.off"]
    reason: str


def told_by(before: Agreement, after: Agreement) -> Iterator[Told]:
    """Yield the events out: the first decline of a charge, and the end of charges.

    A customer's own switching off causes no event.
    """
    if _is_first_decline(before, after):
        yield Told("top_up.failed", after.paused)
    if before.charges and not after.charges and after.paused:
        yield Told("top_up.off", after.paused)


def _is_first_decline(before: Agreement, after: Agreement) -> bool:
    charge = before.charge
    if charge is None or charge.attempt or charge.state == "waiting":
        return False
    is_paused = after.charge is None and bool(after.paused)
    is_put_off = after.charge is not None and after.charge.attempt == 1
    return is_paused or is_put_off
