"""What an account needs before it can be read or spent from: expired holds given back, and past days' use itemised."""

from dataclasses import dataclass, replace

from billing.books import Books
from billing.clock import epoch, stamp
from billing.errors import ConditionFailedError, Item, NotDoneError
from billing.quota.balance import Balance, come_in
from billing.storage.writes import Write, creates, equals, exists

EXPIRED_AT_ONCE = 48
"""Holds given back in one transaction: two writes each, beside the account and what is taken with
it, within DynamoDB's 100."""
CLOSED_KEPT_SECONDS = 30 * 24 * 3600
"""How long a closed hold answers ``hold_closed`` or replays, before it is not found."""


@dataclass(frozen=True, slots=True)
class GivingBack:
    """Expired holds, as the writes of one transaction that gives them back."""

    account: Write
    """Refused if any hold was placed or given back since ``before``, or the debt has changed."""
    closing: tuple[Write, ...]
    before: Balance
    after: Balance
    is_all: bool
    """Nothing more has expired."""


def holds_are_due(balance: Balance, now_epoch: int) -> bool:
    """A hold's time may have passed: it counts as given back from that moment."""
    return 0 < balance.holds_due <= now_epoch


def giving_back(books: Books, user_id: str, balance: Balance) -> GivingBack:
    """What has expired first, EXPIRED_AT_ONCE of it at most. One call; nothing is written."""
    now = books.clock()
    rows = books.store.query(
        "quotas", user_id, prefix="hold#", limit=EXPIRED_AT_ONCE + 1
    ).items  # they sort by expiry
    expired = [row for row in rows[:EXPIRED_AT_ONCE] if row["expires_at"] <= epoch(now)]
    next_due = rows[len(expired)]["expires_at"] if len(rows) > len(expired) else 0
    units = sum(row["units"] for row in expired)
    movement = come_in(balance, units)
    account = Write(
        "quotas",
        (user_id, "quota"),
        set={"updated_at": stamp(now), **({"holds_due": next_due} if next_due else {})},
        add={"held": -units, **movement.add},
        remove=() if next_due else ("holds_due",),
        must=(
            equals("holds_due", balance.holds_due),
            equals("holds_placed", balance.holds_placed),
            *movement.must,
        ),
    )
    closing = tuple(write for row in expired for write in close(row, "expired", 0, epoch(now)))
    after = replace(moved(balance, units), holds_due=next_due)
    return GivingBack(account, closing, balance, after, not holds_are_due(after, epoch(now)))


def give_back_expired(books: Books, user_id: str, balance: Balance) -> None:
    """Give back all that has expired, once, whoever else tries at the same time.

    Afterwards the balance must be read anew.
    """
    for _ in books.store.deadline.attempts(pauses=False):
        if not holds_are_due(balance, epoch(books.clock())):
            return
        back = giving_back(books, user_id, balance)
        try:
            books.store.commit(back.account, *back.closing)
        except ConditionFailedError:
            # another hand gave them back, or placed a hold meanwhile: the caller reads again
            return
        balance = back.after


def moved(balance: Balance, units: int) -> Balance:
    """The balance when so many held units are back."""
    back = come_in(balance, units).add
    return replace(
        balance,
        held=balance.held - units,
        remaining=balance.remaining + back["remaining"],
        debt=balance.debt + back.get("debt", 0),
    )


def as_if_given_back(books: Books, user_id: str, balance: Balance) -> Balance:
    """The balance as it counts now, for those who may only read: what has expired is back, written or not."""
    for _ in books.store.deadline.attempts():
        now = epoch(books.clock())
        if not holds_are_due(balance, now):
            return balance
        units, seen = _expired(books, user_id, now)
        if _same_holds(balance, seen) and units <= balance.held:
            return moved(balance, units)
        balance = seen  # somebody gave them back meanwhile: rows and balance are of two moments
    raise NotDoneError(f"the holds of {user_id} kept changing until the time was up")


def _expired(books: Books, user_id: str, now_epoch: int) -> tuple[int, Balance]:
    """The units of all expired holds, and the balance as it stands behind them: the rows sort by expiry, then comes the balance."""
    units, after = 0, None
    while True:
        page = books.store.query("quotas", user_id, prefix="hold#", up_to="quota", after=after)
        balance = next((row for row in page.items if row["item"] == "quota"), None)
        expired = [
            row["units"]
            for row in page.items
            if row is not balance and row["expires_at"] <= now_epoch
        ]
        units += sum(expired)
        if len(expired) < len(page.items) or page.after is None:
            return units, Balance.from_item(
                balance or books.store.get("quotas", (user_id, "quota"))
            )
        after = page.after


def _same_holds(one: Balance, other: Balance) -> bool:
    return (one.held, one.holds_due, one.holds_placed) == (
        other.held,
        other.holds_due,
        other.holds_placed,
    )


def close(row: Item, state: str, captured: int, now_epoch: int) -> tuple[Write, Write]:
    """An open hold's row goes, and a closed one tells later callers what became of it: only one hand can do this."""
    user_id, item = row["user_id"], row["item"]
    closed = {
        "state": state,
        "units": row["units"],
        "captured": captured,
        "ttl": max(now_epoch, row["expires_at"]) + CLOSED_KEPT_SECONDS,
    }
    return (
        Write(
            "quotas",
            (user_id, item),
            delete=True,
            must=(exists("user_id"), equals("units", row["units"])),
        ),
        creates("quotas", (user_id, item.replace("hold#", "closed#", 1)), closed),
    )
