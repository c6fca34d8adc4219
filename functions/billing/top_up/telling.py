"""What a change of an agreement tells the seller's systems. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from billing.top_up.agreement import Agreement


@dataclass(frozen=True, slots=True)
class Told:
    """One event out. ``reason`` is why no charge is made, "" for a decline that is tried again."""

    type: Literal["top_up.failed", "top_up.off"]
    reason: str


def told_by(before: Agreement, after: Agreement) -> Iterator[Told]:
    """Yield what is told: the first decline of a charge, and that no charge is made any more.

    What the customer switched off is not told back.
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
