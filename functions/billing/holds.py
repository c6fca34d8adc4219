"""Holds: units set aside, then captured, released, or given back when their time is over. Each is closed exactly once.

A hold is one row of its own beside the balance's ``held``; closing it removes the open row and leaves a closed one, in the
transaction that moves the units. The id names the account, so that a hold is found without an index.
"""

import base64
import binascii
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from billing import upkeep
from billing.balances import Balance, come_in
from billing.errors import BillingError, Item, OutcomeUnknownError, RefusedError
from billing.quota import insisting
from billing.spending import Meter, take, take_knowing
from billing.times import day, epoch, from_epoch, stamp
from billing.writes import Must, Write, absent, creates, equals

EXPIRES_IN_SECONDS_MAX: Final = 86_400


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
            plain = base64.b64decode(body + b"=" * (-len(body) % 4), altchars=b"-_", validate=True).decode()
            expiry, random, user_id = plain.split(".", 2)
            made = cls(user_id, int(expiry), random)
        except (ValueError, binascii.Error) as error:
            raise _not_found() from error
        if str(made) != text:
            raise _not_found()
        return made


def place(meter: Meter, user_id: str, units: int, expires_in_seconds: int) -> dict[str, Any]:
    """Set ``units`` aside for 1 to 86 400 seconds, or raise ``quota_exhausted``."""

    def transaction(balance: Balance, now: datetime, exact: tuple[Must, ...]) -> dict[str, Any]:
        expires_at = epoch(now + timedelta(seconds=expires_in_seconds))
        hold = HoldId(user_id, expires_at, secrets.token_hex(8))
        account = insisting(take(user_id, units, now, "held"), exact)
        meter.books.store.commit(_noting_due(account, balance, expires_at), _open(hold, units))
        return {
            "hold_id": str(hold),
            "units": units,
            "remaining": max(0, balance.remaining - units),
            "expires_at": from_epoch(expires_at),
        }

    return take_knowing(meter, user_id, units, transaction)


def capture(meter: Meter, hold_id: str, units: int) -> dict[str, Any]:
    """Take ``units`` of the hold for good and give the rest back. A repeat replays."""
    return _close(meter, HoldId.parse(hold_id), "captured", units)


def release(meter: Meter, hold_id: str) -> dict[str, Any]:
    """Give all of it back. A repeat replays."""
    return _close(meter, HoldId.parse(hold_id), "released", 0)


def _close(meter: Meter, hold: HoldId, state: str, units: int) -> dict[str, Any]:
    books = meter.books
    for _ in books.store.patience.attempts():
        now = books.clock()
        row = books.store.get("quotas", hold.open_row)
        if row is None:
            return _replay(books.store.get("quotas", hold.closed_row), hold, state, units)
        balance = Balance.from_item(books.store.get("quotas", (hold.user_id, "quota")))
        if row["expires_at"] <= epoch(now):
            upkeep.give_back_expired(books, hold.user_id, balance)
            continue
        if units > row["units"]:
            raise BillingError("exceeds_hold", f"the hold is of {row['units']} units, {units} cannot be captured")
        if units and balance.use_day < day(now):
            upkeep.itemise(books, hold.user_id, balance)
            continue
        movement = come_in(balance, row["units"] - units)
        account = Write(
            "quotas",
            (hold.user_id, "quota"),
            set={"updated_at": stamp(now)},
            add={"held": -row["units"], "used": units, **movement.add},
            must=movement.must,
        )
        try:
            books.store.commit(account, *upkeep.close(row, state, units, epoch(now)))
        except RefusedError:
            continue  # closed by another hand, or the debt has changed: look again
        return _answer(hold, state, row["units"], units)
    message = f"the account of {hold} kept changing until the time was up"
    raise OutcomeUnknownError(message)


def _replay(closed: Item | None, hold: HoldId, state: str, units: int) -> dict[str, Any]:
    if closed is None:
        raise _not_found()
    if closed["state"] != state or closed["captured"] != units:
        raise BillingError("hold_closed", f"this hold was {closed['state']} before, with {closed['captured']} units captured")
    return _answer(hold, state, closed["units"], units)


def _answer(hold: HoldId, state: str, held: int, captured: int) -> dict[str, Any]:
    return {"hold_id": str(hold), "status": state, "units": captured, "released": held - captured}


def _open(hold: HoldId, units: int) -> Write:
    return creates("quotas", hold.open_row, {"units": units, "expires_at": hold.expires_at, "open": "open"})


def _noting_due(account: Write, balance: Balance, expires_at: int) -> Write:
    """Keep ``holds_due`` at the first expiry. The condition is on what the balance showed, so no earlier one is lost."""
    sooner = not balance.holds_due or expires_at < balance.holds_due
    seen = equals("holds_due", balance.holds_due) if balance.holds_due else absent("holds_due")
    later = Must("holds_due", "<=", expires_at)
    return Write(
        account.table,
        account.key,
        set={**account.set, **({"holds_due": expires_at} if sooner else {})},
        add={**account.add, "holds_placed": 1},
        must=(*account.must, seen if sooner else later),
    )


def _not_found() -> BillingError:
    return BillingError("not_found", "there is no such hold")
