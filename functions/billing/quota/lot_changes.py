"""Writes a change of an account's lots."""

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
    """What a change of lots writes: the rows, and its part of the account's write."""

    rows: tuple[Write, ...]
    set: Mapping[str, int]
    add: Mapping[str, int]
    remove: tuple[str, ...]
    must: tuple[Must, ...]

    def beside(self, account: Write) -> Write:
        """Return the account's write with this change."""
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
        """Return the account's write, which also adds ``add`` where ``must`` holds."""
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
    """Return what is written so that the account has the lots ``after``.

    ``burned``: what was burned before that, all that is to burn by default. ``is_exact``: a lot
    comes in that expires or was given.
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
    """Return the clause: no lot's row was written since the balance was read."""
    return same("lots_version", balance.lots_version)


def same(name: str, value: int) -> Must:
    """Return the clause: an attribute has this value. Zero may be absent."""
    return equals(name, value) if value else absent_or(name, "==", 0)


def _sum_left(lots: Mapping[str, Lot]) -> int:
    return sum(lot.left for lot in lots.values())


def _sum_held(lots: Mapping[str, Lot]) -> int:
    return sum(lot.held for lot in lots.values())


def add_at_the_end(user_id: str, lot: Lot) -> tuple[Write, Mapping[str, int]]:
    """Return the row of a lot that burns after all others, and what it adds to the account.

    Nothing needs to be read: whatever was used before burns the lots before it.
    """
    (row,) = row_writes(user_id, None, lot)
    return row, {"lots_left": lot.left, "lots_version": 1}
