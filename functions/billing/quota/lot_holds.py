"""What a hold does to lots: which units it sets aside, and where they go when it ends.

Only accounts with ``lots_exact`` need it. Elsewhere no unit expires, and a hold names no lots.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from billing.clock import epoch, stamp
from billing.lots import burning
from billing.lots.burning import NOTHING, GivenBack, Lots, Parts
from billing.lots.listed import shown
from billing.lots.lot import EARLIER
from billing.notices.notice import Notice
from billing.quota import lot_changes
from billing.quota.balance import Balance
from billing.quota.ledger import Entry, expired_in_hold_id
from billing.quota.lot_changes import NO_CHANGE, Change
from billing.quota.lot_rows import Holdings
from billing.storage.writes import Must, Write

PARTS_MAX: Final = 16
"""Lots that one hold names, and lots of the holds that expire in one transaction: a row, an entry
and an event each. Units of later ones count as units that never expire."""
HOLDS_AT_ONCE: Final = 8
"""Holds with lots that expire in one transaction, within DynamoDB's 100."""
Row = Mapping[str, Any]


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
    gone: int = 0
    """Units that leave the account: expired, or taken back with a voided grant."""
    entries: tuple[Write, ...] = ()
    notices: tuple[Notice, ...] = ()

    def beside(self, account: Write) -> Write:
        """Return the account's write with the lots' part, without ``back``."""
        account = self.change.beside(account)
        if not self.gone:
            return account
        booked_at = account.set["updated_at"]
        return account._replace(
            set={**account.set, "booked_at": booked_at},
            add={**account.add, "total": -self.gone},
        )


def name_no_lots(balance: Balance) -> tuple[Must, ...]:
    """Return the clause of writes on holds that know no lots: no unit can expire.

    Empty for an account on which units can expire: those writes change lots, and pin them.
    """
    return () if balance.lots_exact else (lot_changes.same("lots_exact", 0),)


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
    return Placed(parts, lot_changes.change(holdings, after))


def how_many(rows: Sequence[Row]) -> int:
    """Return how many of these holds, the first ones, end in one transaction. At least one."""
    parts = 0
    for number, row in enumerate(rows[:HOLDS_AT_ONCE]):
        parts += len(row.get("parts", NOTHING))
        if number and parts > PARTS_MAX:
            return number
    return min(len(rows), HOLDS_AT_ONCE)


def through(rows: Sequence[Row]) -> str:
    """Return the key up to which lots must be read to close these holds."""
    return max(
        (key for row in rows for key in row.get("parts", {})), default=""
    )


def close(
    holdings: Holdings, rows: Sequence[Row], captured: int, moment: datetime
) -> Closed:
    """End holds: the rest goes back to its lots. ``captured`` units are used, of a single hold.

    The write moves ``held`` and ``used``, and ``total`` by ``-gone``.
    """
    lots, debt, back, gone = holdings.with_earlier, holdings.balance.debt, 0, 0
    entries: list[Write] = []
    notices: list[Notice] = []
    for row in rows:
        parts = parts_of(row, lots)
        given = burning.close_hold(lots, parts, captured, epoch(moment), debt)
        lots = given.lots
        entries += _entries(holdings.user_id, row["item"], given, stamp(moment))
        notices += _notices(given)
        debt = max(0, debt - given.back)
        back += given.back
        gone += given.gone
    change = lot_changes.change(holdings, lots)
    if captured:
        used = change.add.get("lots_used", 0) + captured
        change = replace(change, add={**change.add, "lots_used": used})
    return Closed(change, back, gone, tuple(entries), tuple(notices))


def close_without_lots(balance: Balance, back: int) -> Closed:
    """End holds on an account on which no unit can expire: ``back`` units come in again."""
    return Closed(replace(NO_CHANGE, must=name_no_lots(balance)), back)


def parts_of(row: Row, lots: Lots) -> Parts:
    """Return a hold's units by the key of their lot. Those that it does not name never expire.

    Nor do units whose lot's row a restore has lost.
    """
    held = {lot.key: lot.held for lot in lots}
    named = row.get("parts", NOTHING).items()
    parts = {key: min(units, held.get(key, 0)) for key, units in named}
    return {**parts, EARLIER.key: row["units"] - sum(parts.values())}


def _notices(given: GivenBack) -> Iterator[Notice]:
    for lot in _lots_in(given, given.expired):
        yield Notice("units.expired", shown(lot))


def _lots_in(given: GivenBack, parts: Parts) -> Lots:
    return tuple(lot for lot in given.lots if lot.key in parts)


def _entries(
    user_id: str, hold_key: str, given: GivenBack, now: str
) -> Iterator[Write]:
    for lot in _lots_in(given, given.expired):
        yield Entry(
            user_id,
            expired_in_hold_id(lot.lot_id, hold_key),
            "expired",
            -given.expired[lot.key],
            "lot",
            lot.lot_id,
            now,
        ).write()
    for lot in _lots_in(given, given.void):
        yield Entry(
            user_id,
            f"voided:{lot.reference_id}:{hold_key}",
            "adjusted",
            -given.void[lot.key],
            "grant",
            lot.reference_id,
            now,
        ).write()
