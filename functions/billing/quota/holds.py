"""Places, captures and releases holds: units set aside for a limited time.

A hold is one row beside the account's ``held``. The transaction that moves the units also deletes
the open row and writes a closed one, so each hold is closed exactly once. The hold's id contains
the user's id, so a hold is found without an index.
"""

import base64
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from billing.answers import Count, LimitLeft, Member, Remaining, Time
from billing.books import Books
from billing.clock import day, epoch, epoch_after, from_epoch, stamp
from billing.errors import (
    BillingError,
    ConditionFailedError,
    Item,
    NotDoneError,
    OutcomeUnknownError,
    RetryableError,
)
from billing.ids import USER_ID_CHARS_MAX
from billing.lots.burning import Parts
from billing.notices.notice import tell
from billing.quota import daily_usage, hold_expiry, lot_holds, lot_rows
from billing.quota.balance import Balance, Movement, come_in, read_account
from billing.quota.key_days import Captured
from billing.quota.key_days import capture as capture_for
from billing.quota.key_use import KeyUse, give_back, limit_remaining, name_of
from billing.quota.lot_holds import Closed, Placed
from billing.quota.lot_rows import NO_CHANGE
from billing.quota.spending import Attempt, Meter, Taking, take_in_transaction
from billing.storage.writes import Must, Write, absent, creates, equals

EXPIRES_IN_SECONDS_MAX: Final = 86_400
ID_CHARS_MAX: Final = 1_500
"""Of a hold's id: that of an account whose name has 255 letters of four bytes is the longest."""
_ID: Final = re.compile(
    rf"([0-9]{{12}})\.([0-9a-f]{{16}})\.(.{{1,{USER_ID_CHARS_MAX}}})", re.DOTALL
)
NO_WRITE: Final = Write("quotas", ("", "quota"))
Ended = Literal["captured", "released"]
"""How a caller ends a hold."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Units set aside until ``expires_at``. After that time they count as released."""

    hold_id: str
    units: Count
    remaining: Remaining
    expires_at: Time
    limit_remaining: LimitLeft | None = None


@dataclass(frozen=True, slots=True)
class ClosedHold:
    """A hold that a caller has captured or released."""

    hold_id: str
    status: Ended
    units: Annotated[Count, Member(description="captured")]
    released: Annotated[Count, Member(description="given back")]


@dataclass(frozen=True, slots=True)
class HoldId:
    """A hold's id: ``hold_`` and base64url of ``expiry.random.user``. It gives the row's key."""

    user_id: str
    expires_at: int
    random: str

    def __str__(self) -> str:
        """Return the id that callers see: opaque to them, without dots or padding."""
        plain = f"{self.expires_at:012d}.{self.random}.{self.user_id}"
        return "hold_" + base64.urlsafe_b64encode(
            plain.encode()
        ).decode().rstrip("=")

    @property
    def open_row(self) -> tuple[str, str]:
        """Return the key of the row while the hold is open. These keys sort by expiry."""
        return (self.user_id, f"hold#{self.expires_at:012d}#{self.random}")

    @property
    def closed_row(self) -> tuple[str, str]:
        """Return the key of the row after the hold is closed."""
        return (self.user_id, f"closed#{self.expires_at:012d}#{self.random}")

    @classmethod
    def parse(cls, text: str) -> "HoldId":
        """Return the parts of an id. Raises ``not_found`` for a text that is not one of our ids."""
        try:
            body = text.removeprefix("hold_").encode("ascii")
            padded = body + b"=" * (-len(body) % 4)
            plain = base64.b64decode(
                padded, altchars=b"-_", validate=True
            ).decode()
        except ValueError as error:
            raise _not_found() from error
        if found := _ID.fullmatch(plain):
            made = cls(found[3], int(found[1]), found[2])
            if str(made) == text:
                return made
        raise _not_found()


def place(
    meter: Meter,
    user_id: str,
    units: int,
    expires_in_seconds: int,
    *,
    at_least: int = 0,
    key: KeyUse | None = None,
) -> Hold:
    """Set ``units`` aside, or raise ``quota_exhausted`` and take nothing.

    With ``at_least``, as many of ``units`` as remain, if they are so many. ``expires_in_seconds``:
    1 to 86 400. The expiry is rounded up to a whole second.
    """

    def transaction(attempt: Attempt) -> tuple[Hold, Balance]:
        expires_at = epoch_after(
            attempt.now + timedelta(seconds=expires_in_seconds)
        )
        hold = HoldId(user_id, expires_at, secrets.token_hex(8))
        left = _commit(meter.books, attempt, hold)
        remaining = max(0, left.remaining)
        expiry, of_limit = from_epoch(expires_at), limit_remaining(left, key)
        held = attempt.taking.units
        return Hold(str(hold), held, remaining, expiry, of_limit), left

    taking = Taking(user_id, units, "held", key, at_least)
    return take_in_transaction(meter, taking, transaction)


def _commit(books: Books, attempt: Attempt, hold: HoldId) -> Balance:
    """Commit one attempt, and the hold's row. Return what is left.

    All or nothing::

        0    user, quota     remaining -= units, held += units    if the units are there
        1    user, hold#     units, expires_at, parts             if there is none
        ..   user, lot#      free -= units, held += units         if it is as it was read
        2..  what stands beside the account's write: see Attempt
    """
    due, account = _keep_holds_due(attempt, hold.expires_at)
    of_lots = _take_from_lots(books, attempt)
    change = of_lots.change
    row = _open(hold, attempt.taking, of_lots.parts)
    books.store.commit_once(
        change.beside(account),
        row,
        *change.rows,
        *attempt.beside,
        clears_up=True,
    )
    placed = attempt.balance.holds_placed + 1
    left = replace(
        attempt.left(attempt.balance), holds_due=due, holds_placed=placed
    )
    return left.after(change.beside(NO_WRITE))


def _take_from_lots(books: Books, attempt: Attempt) -> Placed:
    """Return which lots a hold takes its units from. One call where units can expire."""
    balance, taking = attempt.balance, attempt.taking
    if not balance.lots_exact:
        must = lot_holds.name_no_lots(balance)
        return Placed({}, replace(NO_CHANGE, must=must))
    units = taking.units
    holdings = lot_rows.read_burnable(
        books, taking.user_id, balance, enough=units
    )
    return lot_holds.place(holdings, units)


def capture(meter: Meter, hold_id: str, units: int) -> ClosedHold:
    """Use ``units`` of the hold for good and release the rest. A repeat gets the same answer."""
    return _close(meter.books, HoldId.parse(hold_id), "captured", units)


def release(meter: Meter, hold_id: str) -> ClosedHold:
    """Release all units of the hold. A repeat gets the same answer."""
    return _close(meter.books, HoldId.parse(hold_id), "released", 0)


def _close(books: Books, hold: HoldId, state: Ended, units: int) -> ClosedHold:
    """Close a hold once, retrying until the deadline.

    Never tried once the hold has expired: every attempt looks at the clock first. DynamoDB cannot
    compare with its own clock, so an attempt under way at that moment may still be carried out, up
    to 3 s later by the client's timeouts. A reader may then have seen the units as released before
    they were captured. They cannot have been spent: a request that spends them releases the hold
    first, in a transaction that races with this one, and only one of the two succeeds.
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
    """Close or replay. None: look again, after housekeeping or a lost race."""
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
    """Do what must come before closing, and say whether that was anything.

    Raises ``exceeds_hold``.
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
    """Return the writes that capture ``units`` of a hold and give the rest back."""
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
    """Return the balance to go by, and what becomes of a hold's units. It may read lots."""
    if not balance.lots_exact:
        back = row["units"] - captured
        return balance, lot_holds.close_without_lots(balance, back)
    through = lot_holds.through([row])
    holdings = lot_rows.read_burnable(
        books, row["user_id"], balance, through=through
    )
    closed = lot_holds.close(holdings, [row], captured, books.clock())
    return holdings.balance, closed


def _replay(
    closed: Item | None, hold: HoldId, state: Ended, units: int
) -> ClosedHold:
    if closed is None:
        raise _not_found()
    if closed["state"] != state or closed["captured"] != units:
        before = f"{closed['state']} before, with {closed['captured']} units captured"
        raise BillingError("hold_closed", f"this hold was {before}")
    return _answer(hold, state, closed["units"], units)


def _answer(hold: HoldId, state: Ended, held: int, captured: int) -> ClosedHold:
    return ClosedHold(str(hold), state, captured, released=held - captured)


def _open(hold: HoldId, taking: Taking, parts: Parts) -> Write:
    values: dict[str, Any] = {
        "units": taking.units,
        "expires_at": hold.expires_at,
        "open": "open",
    }
    if taking.key:
        values["key_id"] = taking.key.key_id
    if parts:
        values["parts"] = dict(parts)
    return creates("quotas", hold.open_row, values)


def _keep_holds_due(attempt: Attempt, expires_at: int) -> tuple[int, Write]:
    """Return the first expiry, and the account's write that keeps ``holds_due`` at it.

    Its condition is on what the balance showed, so a concurrent hold that expires sooner is not
    lost. An attempt that releases expired holds has that condition already.
    """
    seen = attempt.balance.holds_due
    is_sooner = not seen or expires_at < seen
    due, changed = (
        (expires_at, {"holds_due": expires_at}) if is_sooner else (seen, {})
    )
    account = attempt.account
    noted = account._replace(
        set={**account.set, **changed},
        add={**account.add, "holds_placed": 1},
        remove=(),
    )
    if attempt.expired:
        return due, noted
    if not is_sooner:
        unchanged = Must("holds_due", "<=", expires_at)
    elif seen:
        unchanged = equals("holds_due", seen)
    else:
        unchanged = absent("holds_due")
    return due, noted._replace(must=(*account.must, unchanged))


def _not_found() -> BillingError:
    return BillingError("not_found", "there is no such hold")
