"""Holds: units set aside, then captured, released, or given back when their time is over.

Each is closed exactly once.

A hold is one row of its own beside the balance's ``held``; closing it removes the open row and
leaves a closed one, in the transaction that moves the units. The id names the account, so that a
hold is found without an index.
"""

import base64
import re
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

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
from billing.quota import daily_usage, hold_expiry
from billing.quota.balance import Balance, come_in
from billing.quota.hold_expiry import GivingBack
from billing.quota.spending import Meter, take_knowing
from billing.storage.writes import Must, Write, absent, creates, equals

EXPIRES_IN_SECONDS_MAX: Final = 86_400
ID_CHARS_MAX: Final = 1_500
"""Of a hold's id: that of an account whose name has 255 letters of four bytes is the longest."""
_PLACE: Final = re.compile(
    rf"([0-9]{{12}})\.([0-9a-f]{{16}})\.(.{{1,{USER_ID_CHARS_MAX}}})", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class HoldId:
    """Where a hold's row stands: ``hold_`` + base64url of ``expiry.random.user``."""

    user_id: str
    expires_at: int
    random: str

    def __str__(self) -> str:
        """The id that callers see: opaque to them, without dots or padding."""
        plain = f"{self.expires_at:012d}.{self.random}.{self.user_id}"
        return "hold_" + base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")

    @property
    def open_row(self) -> tuple[str, str]:
        """The key of the row while the hold is open; the ids sort by expiry."""
        return (self.user_id, f"hold#{self.expires_at:012d}#{self.random}")

    @property
    def closed_row(self) -> tuple[str, str]:
        """The key of what remains when it is closed."""
        return (self.user_id, f"closed#{self.expires_at:012d}#{self.random}")

    @classmethod
    def parse(cls, text: str) -> "HoldId":
        """Raise ``not_found`` for anything that we did not make."""
        try:
            body = text.removeprefix("hold_").encode("ascii")
            plain = base64.b64decode(
                body + b"=" * (-len(body) % 4), altchars=b"-_", validate=True
            ).decode()
        except ValueError as error:
            raise _not_found() from error
        if found := _PLACE.fullmatch(plain):
            made = cls(found[3], int(found[1]), found[2])
            if str(made) == text:
                return made
        raise _not_found()


def place(meter: Meter, user_id: str, units: int, expires_in_seconds: int) -> dict[str, Any]:
    """Set ``units`` aside for 1 to 86 400 seconds, rounded up to a whole one, or raise ``quota_exhausted``."""

    def transaction(
        account: Write, balance: Balance, now: datetime, back: GivingBack | None
    ) -> tuple[dict[str, Any], Balance]:
        expires_at = epoch_after(now + timedelta(seconds=expires_in_seconds))
        hold = HoldId(user_id, expires_at, secrets.token_hex(8))
        due, account = _noting_due(account, balance, expires_at, is_pinned=back is not None)
        meter.books.store.commit_once(
            account, _open(hold, units), *(back.closing if back else ()), clears_up=True
        )
        remaining = balance.remaining - units
        answer = {
            "hold_id": str(hold),
            "units": units,
            "remaining": max(0, remaining),
            "expires_at": from_epoch(expires_at),
        }
        placed = balance.holds_placed + 1
        return answer, replace(
            balance,
            held=balance.held + units,
            remaining=remaining,
            holds_due=due,
            holds_placed=placed,
        )

    return take_knowing(meter, user_id, units, "held", transaction)


def capture(meter: Meter, hold_id: str, units: int) -> dict[str, Any]:
    """Take ``units`` of the hold for good and give the rest back. A repeat replays."""
    return _close(meter, HoldId.parse(hold_id), "captured", units)


def release(meter: Meter, hold_id: str) -> dict[str, Any]:
    """Give all of it back. A repeat replays."""
    return _close(meter, HoldId.parse(hold_id), "released", 0)


def _close(meter: Meter, hold: HoldId, state: str, units: int) -> dict[str, Any]:
    """Once only, and never tried when its time has passed: the clock is looked at before every single attempt.

    DynamoDB cannot compare with its own clock, so that an attempt which is under way at that moment (3 s at most, by the door's
    timeouts) may still be carried out. Then a reader may have seen the units back before they were captured; nobody can have spent
    them, for whoever spends gives the hold back first, in a transaction of which only one succeeds.
    """
    unclear = False
    for _ in meter.books.store.deadline.attempts():
        try:
            if (answer := _tried(meter.books, hold, state, units)) is not None:
                return answer
        except RetryableError as error:  # the next look at the row tells whether it was done
            unclear = unclear or not isinstance(error, NotDoneError)
    if unclear:
        raise OutcomeUnknownError(f"whether {hold} was {state} is not known")
    raise NotDoneError(
        f"the account of {hold} kept changing until the time was up; nothing was {state}"
    )


def _tried(books: Books, hold: HoldId, state: str, units: int) -> dict[str, Any] | None:
    """None: look again, after upkeep or because another hand was quicker."""
    row = books.store.get("quotas", hold.open_row)
    if row is None:
        return _replay(books.store.get("quotas", hold.closed_row), hold, state, units)
    balance = Balance.from_item(books.store.get("quotas", (hold.user_id, "quota")))
    if (writes := _closing(books, row, balance, state, units)) is None:
        return None
    try:
        books.store.commit_once(*writes, clears_up=False)
    except ConditionFailedError:
        return None
    return _answer(hold, state, row["units"], units)


def _closing(
    books: Books, row: Item, balance: Balance, state: str, units: int
) -> tuple[Write, ...] | None:
    """The writes that close it, or None after upkeep."""
    now, user_id = books.clock(), row["user_id"]
    if row["expires_at"] <= epoch(now):
        hold_expiry.give_back_expired(books, user_id, balance)
        return None
    if units > row["units"]:
        raise BillingError(
            "exceeds_hold", f"the hold is of {row['units']} units, {units} cannot be captured"
        )
    if units and balance.use_day < day(now):
        daily_usage.itemise(books, user_id, balance)
        return None
    movement = come_in(balance, row["units"] - units)
    account = Write(
        "quotas",
        (user_id, "quota"),
        set={"updated_at": stamp(now)},
        add={"held": -row["units"], "used": units, **movement.add},
        must=movement.must,
    )
    return (account, *hold_expiry.close(row, state, units, epoch(now)))


def _replay(closed: Item | None, hold: HoldId, state: str, units: int) -> dict[str, Any]:
    if closed is None:
        raise _not_found()
    if closed["state"] != state or closed["captured"] != units:
        raise BillingError(
            "hold_closed",
            f"this hold was {closed['state']} before, with {closed['captured']} units captured",
        )
    return _answer(hold, state, closed["units"], units)


def _answer(hold: HoldId, state: str, held: int, captured: int) -> dict[str, Any]:
    return {"hold_id": str(hold), "status": state, "units": captured, "released": held - captured}


def _open(hold: HoldId, units: int) -> Write:
    return creates(
        "quotas", hold.open_row, {"units": units, "expires_at": hold.expires_at, "open": "open"}
    )


def _noting_due(
    account: Write, balance: Balance, expires_at: int, *, is_pinned: bool
) -> tuple[int, Write]:
    """Keep ``holds_due`` at the first expiry, and say which that is.

    The condition is on what the balance showed, so no earlier one is lost; ``is_pinned``: that is
    one of the write's conditions already.
    """
    sooner = not balance.holds_due or expires_at < balance.holds_due
    seen = equals("holds_due", balance.holds_due) if balance.holds_due else absent("holds_due")
    later = Must("holds_due", "<=", expires_at)
    due = expires_at if sooner else balance.holds_due
    noted = account._replace(
        set={**account.set, **({"holds_due": due} if sooner else {})},
        add={**account.add, "holds_placed": 1},
        remove=(),
        must=account.must if is_pinned else (*account.must, seen if sooner else later),
    )
    return due, noted


def _not_found() -> BillingError:
    return BillingError("not_found", "there is no such hold")
