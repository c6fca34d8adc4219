"""Captures and releases holds, each exactly once.

The transaction that moves the units also deletes the open row and writes a closed one.
"""

from datetime import datetime

from billing.books import Books
from billing.clock import day, epoch, stamp
from billing.errors import (
    BillingError,
    ConditionFailedError,
    Item,
    NotDoneError,
    OutcomeUnknownError,
    RetryableError,
)
from billing.expiry import hold_expiry
from billing.holds.hold import ClosedHold, Ended, HoldId, not_found
from billing.notices.notice import tell
from billing.quota import daily_usage, lot_burning, lot_holds
from billing.quota.balance import Balance, read_account
from billing.quota.key_totals import Captured
from billing.quota.key_totals import capture as capture_for
from billing.quota.key_use import give_back, name_of
from billing.quota.lot_holds import Closed
from billing.quota.movement import Movement, come_in
from billing.spending.meter import Meter
from billing.storage.writes import Write


def capture(meter: Meter, hold_id: str, units: int) -> ClosedHold:
    """Use ``units`` of the hold for good and release the rest. A repeat gets the same answer."""
    return _close(meter.books, HoldId.parse(hold_id), "captured", units)


def release(meter: Meter, hold_id: str) -> ClosedHold:
    """Release all units of a hold, and return the closed hold.

    A repeat gets the same answer. Raises BillingError if there is no such
    hold, or if it was captured or has expired.
    """
    return _close(meter.books, HoldId.parse(hold_id), "released", 0)


def _close(books: Books, hold: HoldId, state: Ended, units: int) -> ClosedHold:
    """Capture or release a hold, and return the closed hold.

    ``units`` are captured and the rest is released. ``state`` is how the hold
    ended: ``captured`` or ``released``. It is tried until the request's
    deadline. Raises ``hold_closed`` for an expired hold: each attempt first
    checks our clock, and then releases all of it instead.

    DynamoDB cannot compare with its own clock, so an attempt that started
    just before the expiry may still succeed up to 3 s later. Until then a
    reader may have seen the units as released. They are not spent yet: to
    spend them, a request must release the expired hold in a transaction, and only
    one of the two transactions succeeds.
    """
    unclear = False
    for _ in books.store.deadline.attempts():
        try:
            answer = _try_to_close(books, hold, state, units)
        except NotDoneError:
            continue
        except (
            RetryableError
        ):  # the next look at the row tells whether it was done
            unclear = True
            continue
        if answer is not None:
            return answer
    if unclear:
        raise OutcomeUnknownError(f"whether the hold was {state} is not known")
    raise NotDoneError(
        f"the account kept changing until the deadline; the hold was not {state}"
    )


def _try_to_close(
    books: Books, hold: HoldId, state: Ended, units: int
) -> ClosedHold | None:
    """Capture or release a hold, and return the closed hold.

    ``units`` of it are used for good, and the rest is given back. ``state`` is
    ``captured`` or ``released``. If the same was done before, the result is
    the same. Raises ``hold_closed`` if the hold was closed differently,
    ``exceeds_hold`` if it has fewer units, and ``not_found`` if there is none.

    Returns None if the caller must try again: a concurrent request came first,
    or an expired hold had to be released or the last day's use booked before.
    """
    row = books.store.get("quotas", hold.open_row)
    if row is None:
        return _replay(
            books.store.get("quotas", hold.closed_row), hold, state, units
        )
    balance, now = read_account(books.store, hold.user_id), books.clock()
    if _keep_house(books, row, balance, units, now):
        return None
    try:
        books.store.commit_once(
            *_closing(books, row, balance, state, units), clears_up=False
        )
    except ConditionFailedError:
        return None
    return _answer(hold, state, row["units"], units)


def _keep_house(
    books: Books, row: Item, balance: Balance, units: int, now: datetime
) -> bool:
    """Do what must be done before the hold in ``row`` is closed.

    If the hold has expired, it is released. If a new day has begun, the use of
    the earlier day is written into the ledger. Returns whether one of these
    was done, so that the caller must read again. Raises ``exceeds_hold`` if
    ``units``, the units to capture, is more than the hold has.
    """
    user_id = row["user_id"]
    if row["expires_at"] <= epoch(now):
        hold_expiry.give_back_expired(books, user_id, balance)
        return True
    if units > row["units"]:
        detail = (
            f"the hold is of {row['units']} units, {units} cannot be captured"
        )
        raise BillingError("exceeds_hold", detail)
    if units and balance.use_day < day(now):
        daily_usage.itemise(books, user_id, balance)
        return True
    return False


def _closing(
    books: Books, row: Item, balance: Balance, state: Ended, units: int
) -> tuple[Write, ...]:
    """Return the writes that close a hold, which ends as ``state``.

    ``units`` of it count as used (captured). The rest goes back to the account
    and its lots, the units of purchases and grants.
    """
    now, user_id, rest = books.clock(), row["user_id"], row["units"] - units
    balance, closed = _give_back_to_lots(books, row, balance, units)
    movement, captured = come_in(balance, closed.back), Captured(Movement({}))
    if key_id := row.get("key_id"):
        unused = {name_of(key_id): rest} if rest else {}
        back = give_back(balance, unused)
        captured = capture_for(books.store, user_id, balance, key_id, units)
        movement = movement.beside(back).beside(captured.movement)
    account = Write(
        "quotas",
        (user_id, "quota"),
        set={"updated_at": stamp(now)},
        add={"held": -row["units"], "used": units, **movement.add},
        must=movement.must,
    )
    account = closed.beside(account)
    told: tuple[Write, ...] = ()
    if closed.notices:
        account, *told_too = tell(
            books, user_id, balance, account, now=now, notices=closed.notices
        )
        told = tuple(told_too)
    closing = hold_expiry.close(row, state, units, epoch(now))
    of_lots = (*closed.change.rows, *closed.entries, *told)
    return (account, *closing, *of_lots, *captured.writes)


def _give_back_to_lots(
    books: Books, row: Item, balance: Balance, captured: int
) -> tuple[Balance, Closed]:
    """Return the balance, and the changes of lots when a hold is closed.

    A lot is the units of one purchase or grant. ``captured`` units of the hold
    are used, and the others go back to their lots. Lots are read only on an
    account on which units can expire; the balance is then the one that was
    read with them.
    """
    if not balance.lots_exact:
        back = row["units"] - captured
        return balance, lot_holds.close_without_lots(balance, back)
    through = lot_holds.through([row])
    holdings = lot_burning.read_burnable(
        books, row["user_id"], balance, through=through
    )
    closed = lot_holds.close(holdings, [row], captured, books.clock())
    return holdings.balance, closed


def _replay(
    closed: Item | None, hold: HoldId, state: Ended, units: int
) -> ClosedHold:
    if closed is None:
        raise not_found()
    if closed["state"] != state or closed["captured"] != units:
        before = f"{closed['state']} before, with {closed['captured']} units captured"
        raise BillingError("hold_closed", f"this hold was {before}")
    return _answer(hold, state, closed["units"], units)


def _answer(hold: HoldId, state: Ended, held: int, captured: int) -> ClosedHold:
    return ClosedHold(str(hold), state, captured, released=held - captured)
