"""Computes how holds change lots, the units of one purchase or grant.

A hold sets units of lots aside, and they go back to their lots when it ends.
This is needed only for accounts on which units can expire (``lots_exact`` of
the balance). On others, holds name no lots.
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
"""How many lots one hold names, and how many lots the holds name that expire
in one transaction. Each needs a row, an entry and an event. Units of
further lots count as units that never expire.
"""
HOLDS_AT_ONCE: Final = 8
"""How many holds with lots expire in one transaction, within DynamoDB's 100
writes.
"""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Placed:
    """Says from which lots the units of a hold come, and how the lots change.

    A lot is the units of one purchase or grant.
    """

    parts: Parts
    """How many of the hold's units came from each lot, by the lot's key. The
    hold's other units never expire.
    """
    change: Change


@dataclass(frozen=True, slots=True)
class Closed:
    """Holds what changes when holds end: lots, ledger entries and events.

    A lot is the units of one purchase or grant.
    """

    change: Change
    back: int
    """Units that are added to the balance again. They pay debt first."""
    gone: int = 0
    """Units that leave the account because their lot expired or its grant was
    voided.
    """
    entries: tuple[Write, ...] = ()
    notices: tuple[Notice, ...] = ()

    def beside(self, account: Write) -> Write:
        """Return ``account`` with what must change because holds have ended.

        ``account`` is a write of the balance's row. The changes that belong to
        the lots (the units of purchases or grants) are added to it. Units that
        expired or were voided (``gone``) are subtracted from ``total``. Units
        that can be spent again (``back``) are not added here: the caller adds
        them.
        """
        account = self.change.beside(account)
        if not self.gone:
            return account
        booked_at = account.set["updated_at"]
        return account._replace(
            set={**account.set, "booked_at": booked_at},
            add={**account.add, "total": -self.gone},
        )


def name_no_lots(balance: Balance) -> tuple[Must, ...]:
    """Return the condition under which a hold need not record its lots.

    A lot is the units of one purchase or grant. The condition is that the
    account has never had a lot that expires or was granted. Returns () if
    ``balance`` shows that it has had one. Then the hold records its lots, and
    the change of those has a condition of its own.
    """
    return () if balance.lots_exact else (lot_changes.same("lots_exact", 0),)


def place(holdings: Holdings, units: int) -> Placed:
    """Return the lots from which a hold of ``units`` takes them.

    Those that expire first come first. The result also has the lots'
    writes, which move the units from ``free`` to ``held``.
    """
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
    """Return how many of the holds in ``rows`` can end in one transaction.

    They are counted from the first one, which can always end.
    """
    parts = 0
    for number, row in enumerate(rows[:HOLDS_AT_ONCE]):
        parts += len(row.get("parts", NOTHING))
        if number and parts > PARTS_MAX:
            return number
    return min(len(rows), HOLDS_AT_ONCE)


def through(rows: Sequence[Row]) -> str:
    """Return the last of the lot keys that these holds have recorded, or "".

    A lot is the units of one purchase or grant, and lot keys sort by expiry.
    All lots up to this key must be read before the holds end. The result is ""
    if no hold has recorded lots.
    """
    return max(
        (key for row in rows for key in row.get("parts", {})), default=""
    )


def close(
    holdings: Holdings, rows: Sequence[Row], captured: int, moment: datetime
) -> Closed:
    """Return what changes in lots when the holds in ``rows`` end.

    A lot is the units of one purchase or grant. ``captured`` units were used,
    which is possible for a single hold only. The rest goes back to the lots,
    or leaves the account if the lot has expired or was voided. The caller must
    itself change the balance's ``held``, ``used`` and ``remaining``: the
    result only says how many units come back (``back``).
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
        debt -= given.back  # below zero nothing is owed
        back += given.back
        gone += given.gone
    change = lot_changes.change(holdings, lots)
    if captured:
        used = change.add.get("lots_used", 0) + captured
        change = replace(change, add={**change.add, "lots_used": used})
    return Closed(change, back, gone, tuple(entries), tuple(notices))


def close_without_lots(balance: Balance, back: int) -> Closed:
    """Return what changes when holds end that do not record lots.

    A lot is the units of one purchase or grant. No lot changes, and the
    ``back`` units of the holds can be spent again. If the account has never
    had units that expire or were granted, the write requires that this is
    still so.
    """
    return Closed(replace(NO_CHANGE, must=name_no_lots(balance)), back)


def parts_of(row: Row, lots: Lots) -> Parts:
    """Return how many of a hold's units came from each lot, by lot key.

    A lot is the units of one purchase or grant. Units for which the row
    names no lot, or a lot whose row was lost in a restore, never expire. They
    are counted under one common key, ``EARLIER.key``.
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
