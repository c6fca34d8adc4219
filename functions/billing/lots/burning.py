"""How lots burn, are held, given back, taken back, and expire. Pure: lots in, lots out.

Every function takes an account's lots in burn order, and returns them in the same order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from billing.lots.lot import Lot

Lots = tuple[Lot, ...]
Parts = Mapping[str, int]
"""Units by the key of the lot that they are from."""
NOTHING: Final[Parts] = {}


@dataclass(frozen=True, slots=True)
class Burned:
    """The lots after units left them, and which units those were."""

    lots: Lots
    parts: Parts

    @property
    def units(self) -> int:
        """How many units left. Fewer than were asked for where the lots did not have them."""
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class GivenBack:
    """The lots after a hold was closed."""

    lots: Lots
    back: int
    """Units that are free again, or pay debt."""
    expired: Parts
    """Units that came back to a lot whose time is over, and expire now."""
    void: Parts
    """Units that came back to a voided grant, and are taken back now."""

    @property
    def gone(self) -> int:
        """How many units leave the account."""
        return sum(self.expired.values()) + sum(self.void.values())


def in_order(lots: Iterable[Lot]) -> Lots:
    """Return the lots in burn order."""
    return tuple(sorted(lots, key=lambda lot: lot.key))


def burn(lots: Lots, units: int) -> Burned:
    """Use ``units`` up, those of the soonest expiry first."""
    parts = _from_first(((lot.key, lot.free) for lot in lots), units)
    after = (
        replace(lot, free=lot.free - parts.get(lot.key, 0)) for lot in lots
    )
    return Burned(tuple(after), parts)


def hold(lots: Lots, units: int) -> Burned:
    """Set ``units`` aside, those of the soonest expiry first. ``parts`` go into the hold's row."""
    burned = burn(lots, units)
    after = (
        replace(lot, held=lot.held + burned.parts.get(lot.key, 0))
        for lot in burned.lots
    )
    return Burned(tuple(after), burned.parts)


def close_hold(
    lots: Lots, parts: Parts, captured: int, now_epoch: int, debt: int = 0
) -> GivenBack:
    """Capture units of a hold, the soonest-expiring first, and give the rest back to their lots.

    What comes back pays debt first, also where its time is over: an expiry makes no debt. What is
    left of those units expires now. Units of a voided grant are taken back, whatever is owed.
    """
    used = _from_first(sorted(parts.items()), captured)
    rest = {key: units - used.get(key, 0) for key, units in parts.items()}
    by_key = {lot.key: lot for lot in lots}
    void = {key: n for key, n in rest.items() if n and by_key[key].is_void}
    alive = {key: n for key, n in rest.items() if key not in void}
    paid = _from_first(sorted(alive.items()), debt)
    unpaid = {key: n - paid.get(key, 0) for key, n in alive.items()}
    expired = {
        key: n
        for key, n in unpaid.items()
        if n and by_key[key].has_expired(now_epoch)
    }
    free = {key: n for key, n in unpaid.items() if key not in expired}
    after = (
        replace(
            lot,
            held=lot.held - parts.get(lot.key, 0),
            free=lot.free + free.get(lot.key, 0),
        )
        for lot in lots
    )
    back = sum(alive.values()) - sum(expired.values())
    return GivenBack(tuple(after), back, expired, void)


def expire(lots: Lots, now_epoch: int) -> Burned:
    """Let go of what is free in lots whose time is over. What holds have stays with them."""
    due = {
        lot.key: lot.free
        for lot in lots
        if lot.free and lot.has_expired(now_epoch)
    }
    after = (replace(lot, free=0) if lot.key in due else lot for lot in lots)
    return Burned(tuple(after), due)


def take_back(lots: Lots, reference_id: str, units: int) -> Burned:
    """Take ``units`` back from a purchase's own lots only, those of the soonest expiry first."""
    own = (
        (lot.key, lot.free)
        for lot in lots
        if lot.source == "purchase" and lot.reference_id == reference_id
    )
    parts = _from_first(own, units)
    after = (
        replace(lot, free=lot.free - parts.get(lot.key, 0)) for lot in lots
    )
    return Burned(tuple(after), parts)


def void(lots: Lots, key: str) -> Burned:
    """Take back what is free in one lot. What a hold has of it is taken when it comes back."""
    parts = {lot.key: lot.free for lot in lots if lot.key == key and lot.free}
    after = (
        replace(lot, free=0, is_void=True) if lot.key == key else lot
        for lot in lots
    )
    return Burned(tuple(after), parts)


def counted_as_taken_back(
    units: int, own_free: int, expired: int, counted: int
) -> int:
    """Return how much of a clawback of ``units`` had expired, and so is taken back already.

    ``expired``: units of this purchase that expired in all; ``counted``: those that earlier
    clawbacks of it counted. Its own free units go first.
    """
    return min(max(0, units - own_free), max(0, expired - counted))


def expiry_after_return(
    expires_at: int, away_since: int, now_epoch: int
) -> int:
    """Return when units expire that were away: the time that they were away is added.

    0 for never: where they never expired, and where their own time was over when they were taken,
    for then they were taken from other lots.
    """
    if expires_at <= away_since:
        return 0
    return expires_at + max(0, now_epoch - away_since)


def _from_first(
    offers: Iterable[tuple[str, int]], units: int
) -> dict[str, int]:
    """Take ``units`` from the first offers that have some."""
    parts: dict[str, int] = {}
    for key, most in offers:
        taken = min(most, units)
        if taken > 0:
            parts[key] = taken
            units -= taken
    return parts
