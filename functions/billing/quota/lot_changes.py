"""Builds the writes that change an account's lots, and their conditions.

A lot is the units of one purchase or grant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from billing.lots.burning import Lots
from billing.lots.lot import EARLIER, Lot, row_writes
from billing.quota.balance import Balance
from billing.quota.lot_rows import ALL, Holdings
from billing.storage.writes import Must, Write, absent_or, equals


@dataclass(frozen=True, slots=True)
class Change:
    """The writes for a change of lots, the units of purchases or grants.

    ``rows`` are the writes of the lots' rows. The other fields are what the
    write of the balance must add, set, remove and require.
    """

    rows: tuple[Write, ...]
    set: Mapping[str, int]
    add: Mapping[str, int]
    remove: tuple[str, ...]
    must: tuple[Must, ...]

    def beside(self, account: Write) -> Write:
        """Return ``account``, the balance's write, with this change added.

        This is a change of lots, the units of purchases or grants. The result
        has what it adds, sets, removes and requires in the balance. The caller
        must also make the writes in ``rows``, those of the lots' own rows.
        """
        return account._replace(
            set={**account.set, **self.set},
            add={**account.add, **self.add},
            remove=(*account.remove, *self.remove),
            must=(*account.must, *self.must),
        )

    def account(
        self,
        user_id: str,
        now: str,
        add: Mapping[str, int],
        must: tuple[Must, ...],
        *,
        is_booked: bool = True,
    ) -> Write:
        """Return the write of the balance's row that goes with this change.

        The change is one of lots, the units of one purchase or grant. ``add``
        and ``must`` are what else the caller adds to the row, and requires of
        it. ``is_booked`` is true if the same transaction writes a ledger
        entry. Then ``booked_at``, the time of the newest entry, is set too.
        """
        booked = {"booked_at": now} if is_booked else {}
        moved = {name: units for name, units in add.items() if units}
        return Write(
            "quotas",
            (user_id, "quota"),
            set={"updated_at": now, **booked, **self.set},
            add={**moved, **self.add},
            remove=self.remove,
            must=(*must, *self.must),
        )


NO_CHANGE: Final = Change((), {}, {}, (), ())


def change(
    before: Holdings, after: Lots, *, burned: int = ALL, is_exact: bool = False
) -> Change:
    """Return the writes that turn the lots ``before`` into ``after``.

    A lot is the units of one purchase or grant. Debits do not write lots, so a
    change of lots also subtracts what debits have used. ``burned`` is how much
    of that is subtracted in ``after``, by default all of it. ``is_exact`` is
    true if a new lot expires or was granted. From then on each hold of the
    account records from which lots its units came.
    """
    stored = {lot.key: lot for lot in before.rows}
    wanted = {lot.key: lot for lot in after if lot.lot_id != EARLIER.lot_id}
    rows = [
        write
        for key in sorted({*stored, *wanted})
        for write in row_writes(
            before.user_id, stored.get(key), wanted.get(key)
        )
    ]
    left = _sum_left(wanted) - _sum_left(stored)
    held = _sum_held(wanted) - _sum_held(stored)
    adds = {
        "lots_left": left,
        "lots_held": held,
        "lots_used": min(burned, before.balance.unburned),
        "lots_version": 1,
    }
    due = next(
        (lot.expires_at for lot in after if lot.expires_at and lot.free), 0
    )
    sets = {"lots_due": due} if due else {}
    if is_exact:
        sets["lots_exact"] = 1
    return Change(
        rows=tuple(rows),
        set=sets,
        add={name: units for name, units in adds.items() if units},
        remove=() if due else ("lots_due",),
        must=(same_lots(before.balance),),
    )


def same_lots(balance: Balance) -> Must:
    """Return the condition that no lot has changed since the balance was read.

    A lot is the units of one purchase or grant. DynamoDB refuses a write with
    this condition if a lot's row was written since ``balance`` was read.
    """
    return same("lots_version", balance.lots_version)


def same(name: str, value: int) -> Must:
    """Return the condition that an attribute has this value in the table.

    It is one part of a write's condition. For zero, the attribute may also be
    absent.
    """
    return equals(name, value) if value else absent_or(name, "==", 0)


def _sum_left(lots: Mapping[str, Lot]) -> int:
    return sum(lot.left for lot in lots.values())


def _sum_held(lots: Mapping[str, Lot]) -> int:
    return sum(lot.held for lot in lots.values())


def add_at_the_end(user_id: str, lot: Lot) -> tuple[Write, Mapping[str, int]]:
    """Return the write of a new lot that is used after all others.

    A lot is the units of one purchase or grant. The second value is what to
    add to the balance. The other lots need not be read: units that were used
    before come off those lots, and never off this one.
    """
    (row,) = row_writes(user_id, None, lot)
    return row, {"lots_left": lot.left, "lots_version": 1}
