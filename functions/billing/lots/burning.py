"""Computes how lots are used (burned), held, given back, and how they expire.

A lot is the units of one purchase or grant. Each function takes an account's
lots in burn order (the first to expire first), and returns them changed, in
the same order. Nothing is read or written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from billing.lots.lot import Lot

Lots = tuple[Lot, ...]
Parts = Mapping[str, int]
"""Numbers of units, by the key of the lot that they come from."""
NOTHING: Final[Parts] = {}


@dataclass(frozen=True, slots=True)
class Burned:
    """The result of taking units: the lots after it, and the units of each.

    ``parts`` has how many units were taken from each lot. A lot is the units
    of one purchase or grant.
    """

    lots: Lots
    parts: Parts

    @property
    def units(self) -> int:
        """Return how many units were taken.

        They are fewer than was asked for if the lots did not have enough.
        """
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Holds the lots after a hold was closed, and what became of its units.

    A lot is the units of one purchase or grant. Of the units that were held
    but not used, ``back`` can be spent again or pay debt, ``expired`` have
    expired, and ``void`` are of a grant that was voided (taken back).
    """

    lots: Lots
    back: int
    """Units that can be spent again, or that pay debt."""
    expired: Parts
    """Units of a lot that expired while the hold had them. They expire now."""
    void: Parts
    """Units of a grant that was voided while the hold had them. They are taken
    back now.
    """

    @property
    def gone(self) -> int:
        """Return how many of the hold's units leave the account.

        They have expired, or their grant was voided.
        """
        return sum(self.expired.values()) + sum(self.void.values())


def in_order(lots: Iterable[Lot]) -> Lots:
    """Return the lots in the order in which they are used (burned).

    The first to expire comes first.
    """
    return tuple(sorted(lots, key=lambda lot: lot.key))


def burn(lots: Lots, units: int) -> Burned:
    """Return the lots after ``units`` were used, and how many each lot gave.

    The lot that expires first is used first. If the lots have too few free
    units, only those are used. A lot is the units of one purchase or grant.
    """
    parts = _from_first(((lot.key, lot.free) for lot in lots), units)
    after = (
        replace(lot, free=lot.free - parts.get(lot.key, 0)) for lot in lots
    )
    return Burned(tuple(after), parts)


def hold(lots: Lots, units: int) -> Burned:
    """Return the lots after ``units`` were moved from ``free`` to ``held``.

    A lot is the units of one purchase or grant. The units that expire first
    are taken first. The result's ``parts``, the units taken from each lot, are
    stored in the hold's row.
    """
    burned = burn(lots, units)
    after = (
        replace(lot, held=lot.held + burned.parts.get(lot.key, 0))
        for lot in burned.lots
    )
    return Burned(tuple(after), burned.parts)


def close_hold(
    lots: Lots, parts: Parts, captured: int, now_epoch: int, debt: int = 0
) -> GivenBack:
    """Return the lots after a hold ended, with what happened to its units.

    A lot is the units of one purchase or grant. ``parts`` is how many units of
    the hold came from each lot. ``captured`` of them are used, first those
    that expire first. The rest comes back:

    - Units of a voided grant are taken back.
    - Units of other lots, even expired ones, pay ``debt``, the units that the
      user owes.
    - Of what is left, units of an expired lot expire, and all others can be
      spent again.
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
    """Return the lots without expired units, and how many these were.

    A lot is the units of one purchase or grant. The units that an open hold
    has set aside stay in their lot until the hold ends. The result has the
    expired units by lot.
    """
    due = {
        lot.key: lot.free
        for lot in lots
        if lot.free and lot.has_expired(now_epoch)
    }
    after = (replace(lot, free=0) if lot.key in due else lot for lot in lots)
    return Burned(tuple(after), due)


def take_back(lots: Lots, reference_id: str, units: int) -> Burned:
    """Return the lots after ``units`` were taken from one purchase's lots.

    A lot is the units of one purchase or grant. ``reference_id`` says which
    purchase: the id of its session or payment intent. Units in holds are not
    taken. Those that expire first are taken first. If there are too few, all
    that are not held are taken.
    """
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
    """Return the lots after one grant was taken back (voided).

    ``key`` is the key of the lot with the grant's units. Those that no hold
    has are taken back now. Units that an open hold has are taken back when the
    hold ends.
    """
    parts = {lot.key: lot.free for lot in lots if lot.key == key and lot.free}
    after = (
        replace(lot, free=0, is_void=True) if lot.key == key else lot
        for lot in lots
    )
    return Burned(tuple(after), parts)


def counted_as_taken_back(
    units: int, own_free: int, expired: int, counted: int
) -> int:
    """Return how many units of a clawback are not taken, as they had expired.

    A clawback takes ``units`` of a purchase back, after a refund or dispute.
    It first takes ``own_free``, the purchase's units that are not used. For
    the rest, expired units of the purchase count as taken. ``expired`` is how
    many of its units ever expired, and ``counted`` how many of these were
    counted by earlier clawbacks and cannot count again.
    """
    return min(max(0, units - own_free), max(0, expired - counted))


def expiry_after_return(
    expires_at: int, away_since: int, now_epoch: int
) -> int:
    """Return when units that are given back expire. 0 means never.

    They were clawed back at ``away_since``, and the time during which they
    were away is added to their former expiry, ``expires_at``. The result is 0
    if the units never expired, and also if their lot had expired when they
    were clawed back, because then they were taken from other lots.
    """
    if expires_at <= away_since:
        return 0
    return expires_at + max(0, now_epoch - away_since)


def _from_first(
    offers: Iterable[tuple[str, int]], units: int
) -> dict[str, int]:
    """Return how many units to take from each offer, by its key.

    ``offers`` are keys with the units available. The first offers are used
    first, until ``units`` are taken.
    """
    parts: dict[str, int] = {}
    for key, most in offers:
        taken = min(most, units)
        if taken > 0:
            parts[key] = taken
            units -= taken
    return parts
