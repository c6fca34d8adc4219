"""Shows a lot in ``GET /quota/lots`` and in events to the seller.

A lot is the units of one purchase or grant.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from billing.answers import Count, Member, Time, members
from billing.clock import from_epoch
from billing.lots.lot import Lot, Source

_LEFT = "not used yet; units in open holds are among them"


@dataclass(frozen=True, slots=True)
class ListedLot:
    """One lot (the units of one purchase or grant) in ``GET /quota/lots``."""

    lot_id: str
    source: Source
    units: Count
    left: Annotated[Count, Member(description=_LEFT)]
    expires_at: Time | None
    reference_id: str | None


def listed(lot: Lot) -> ListedLot:
    """Return the lot as ``GET /quota/lots`` shows it."""
    return ListedLot(
        lot_id=lot.lot_id,
        source=lot.source,
        units=lot.units,
        left=lot.left,
        expires_at=from_epoch(lot.expires_at) if lot.expires_at else None,
        reference_id=lot.reference_id or None,
    )


def shown(lot: Lot) -> dict[str, Any]:
    """Return the lot as an event to the seller shows it."""
    return members(listed(lot))
