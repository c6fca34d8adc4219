"""Recomputes an account's balance from its other rows, and writes it.

They are its ledger, its open holds and its lots. A lot is the units of one
purchase or grant.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from billing.clock import stamp
from billing.errors import ConditionFailedError, Item, OutcomeUnknownError
from billing.lots.lot import PREFIX, Lot
from billing.quota.balance import Balance
from billing.reconciliation.job import Run
from billing.storage.writes import Must, Write, absent, absent_or, equals

COMPARED: Final = (
    "total",
    "used",
    "held",
    "remaining",
    "debt",
    "itemised",
    "holds_placed",
    "holds_due",
    "lots_left",
    "lots_held",
    "lots_used",
    "lots_due",
    "lots_exact",
)


def repair_balance(job: Run, user_id: str, unbooked: int = 0) -> Iterator[str]:
    """Recompute the balance, write it, and yield a sentence per change.

    It is computed from the ledger, the open holds and the lots (units of one
    purchase or grant). Without ``job.repair`` nothing is written. The ledger
    may then lack entries that a repair would have written before. Their units
    are given as ``unbooked``, and are added to the ledger's. If the balance
    changes meanwhile, it is computed again. Raises OutcomeUnknownError if it
    keeps changing.
    """
    store = job.books.store
    store.deadline.begin()
    for _ in store.deadline.attempts():
        item = store.get("quotas", (user_id, "quota"))
        found = Balance.from_item(item)
        right = _recomputed(job, user_id, found, unbooked)
        changed = [
            name
            for name in COMPARED
            if getattr(found, name) != getattr(right, name)
        ]
        if not changed and item is not None:
            return
        try:
            if job.repair:
                store.commit(_balance_write(job, user_id, item, right))
        except ConditionFailedError:
            continue
        for name in changed:
            yield f"balance: {name} was {getattr(found, name)}, is {getattr(right, name)}"
        return
    message = f"the account {user_id} kept changing until the deadline"
    raise OutcomeUnknownError(message)


def _balance_write(
    job: Run, user_id: str, item: Item | None, right: Balance
) -> Write:
    now = stamp(job.books.clock())
    values = {name: getattr(right, name) for name in COMPARED}
    return Write(
        "quotas",
        (user_id, "quota"),
        set={**values, "updated_at": now, "booked_at": now},
        add={"lots_version": 1},
        must=tuple(_unchanged(item)),
    )


def _recomputed(
    job: Run, user_id: str, found: Balance, unbooked: int
) -> Balance:
    rows = list(job.books.store.pages("ledger", user_id))
    itemised = -sum(row["units"] for row in rows if row["type"] == "consumed")
    total = sum(row["units"] for row in rows) + itemised + unbooked
    used = max(found.used, itemised)
    open_holds = list(job.books.store.pages("quotas", user_id, "hold#"))
    held = sum(row["units"] for row in open_holds)
    due = min((row["expires_at"] for row in open_holds), default=0)
    rest = total - used - held
    lots = [
        Lot.from_item(row)
        for row in job.books.store.pages("quotas", user_id, PREFIX)
    ]
    left = sum(lot.left for lot in lots)
    # What the rows show and the account has not is burned next, soonest expiry first. What no row
    # shows never expires.
    unburned = max(used - found.lots_used, left - max(0, rest) - held)
    return replace(
        found,
        lots_left=left,
        lots_held=sum(lot.held for lot in lots),
        lots_used=used - unburned,
        lots_due=next((lot.expires_at for lot in lots if lot.free), 0),
        lots_exact=max(found.lots_exact, *(_can_leave(lot) for lot in lots), 0),
        total=total,
        used=used,
        held=held,
        remaining=max(0, rest),
        debt=max(0, -rest),
        itemised=itemised,
        holds_due=due,
    )


def _can_leave(lot: Lot) -> int:
    """Return 1 if the lot's units expire or were not bought, else 0.

    A lot is the units of one purchase or grant. 1 is also the value of the
    balance's ``lots_exact`` once an account has had such a lot: then its holds
    record from which lots their units came.
    """
    return int(bool(lot.expires_at) or lot.source != "purchase")


def _unchanged(item: Item | None) -> Iterator[Must]:
    if item is None:
        yield absent("user_id")
        return
    for name in COMPARED:
        yield (
            equals(name, item[name])
            if name in item
            else absent_or(name, "==", 0)
        )
