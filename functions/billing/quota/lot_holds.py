"""What a hold does to lots: which units it sets aside, and where they go when it ends.

Only accounts with ``lots_exact`` need it. Elsewhere no unit expires, and a hold names no lots.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from billing.lots import burning
from billing.lots.burning import NOTHING, GivenBack, Parts
from billing.lots.lot import EARLIER, Lot
from billing.quota import lot_rows
from billing.quota.ledger import Entry, EntryType, expired_in_hold_id
from billing.quota.lot_rows import Change, Holdings
from billing.storage.writes import Write

PARTS_MAX: Final = 40
"""Lots that one hold names. Units of later ones count as units that never expire."""


@dataclass(frozen=True, slots=True)
class Placed:
    """The lots' part of a hold that is placed."""

    parts: Parts
    """Units by the lot's key, for the hold's row. Its other units never expire."""
    change: Change


@dataclass(frozen=True, slots=True)
class Closed:
    """The lots' part of holds that end."""

    change: Change
    back: int
    """Units that come in again: they pay debt first."""
    gone: int
    """Units that leave the account: expired, or taken back with a voided grant."""
    entries: tuple[Write, ...]


def place(holdings: Holdings, units: int) -> Placed:
    """Set ``units`` aside, the soonest-expiring first. The write moves them to ``held``."""
    before = holdings.with_earlier
    offered = burning.hold(before, units).parts
    named = [key for key in offered if key != EARLIER.key][:PARTS_MAX]
    parts = {key: offered[key] for key in named}
    after = tuple(
        replace(
            lot,
            free=lot.free - parts.get(lot.key, 0),
            held=lot.held + parts.get(lot.key, 0),
        )
        for lot in before
    )
    return Placed(parts, lot_rows.change(holdings, after))


def through(rows: list[Mapping[str, Any]]) -> str:
    """Return the key up to which lots must be read to close these holds."""
    return max((key for row in rows for key in row.get("parts", {})), default="")


def close(
    holdings: Holdings,
    row: Mapping[str, Any],
    captured: int,
    now: str,
    now_epoch: int,
) -> Closed:
    """End one hold: ``captured`` of its units are used, the rest goes back to its lots.

    The write moves ``held`` and ``used``, and ``total`` by ``-gone``.
    """
    parts: dict[str, int] = dict(row.get("parts", NOTHING))
    unnamed = row["units"] - sum(parts.values())
    lots = holdings.with_earlier
    debt = holdings.balance.debt
    given = burning.close_hold(
        lots, {**parts, EARLIER.key: unnamed}, captured, now_epoch, debt
    )
    change = lot_rows.change(holdings, given.lots)
    used = change.add.get("lots_used", 0) + captured
    change = replace(change, add={**change.add, "lots_used": used})
    entries = _entries(holdings.user_id, row["item"], lots, given, now)
    gone = sum(given.expired.values()) + sum(given.void.values())
    return Closed(change, given.back, gone, tuple(entries))


def _entries(
    user_id: str, hold_key: str, lots: burning.Lots, given: GivenBack, now: str
) -> Iterator[Write]:
    by_key = {lot.key: lot for lot in lots}

    def entry(key: str, units: int, kind: EntryType, reference_type: str) -> Write:
        lot: Lot = by_key[key]
        reference = lot.lot_id if kind == "expired" else lot.reference_id
        cause = expired_in_hold_id(lot.lot_id, hold_key)
        if kind == "adjusted":
            cause = f"voided:{lot.reference_id}:{hold_key}"
        return Entry(
            user_id, cause, kind, -units, reference_type, reference, now
        ).write()

    for key, units in given.expired.items():
        yield entry(key, units, "expired", "lot")
    for key, units in given.void.items():
        yield entry(key, units, "adjusted", "grant")
