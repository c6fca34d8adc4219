"""What an account needs before it can be read or spent from: expired holds given back, and past days' use itemised."""

from contextlib import suppress
from dataclasses import replace

from billing.balances import Balance, come_in
from billing.books import Books
from billing.errors import Item, RefusedError
from billing.ledger import Entry
from billing.times import day, epoch, stamp
from billing.writes import Must, Write, absent, absent_or, creates, equals, exists

EXPIRED_AT_ONCE = 30
"""Holds given back in one transaction: three writes each with the rows they leave, within DynamoDB's 100."""
CLOSED_KEPT_SECONDS = 30 * 24 * 3600
"""How long a closed hold answers ``hold_closed`` or replays, before it is not found."""


def holds_are_due(balance: Balance, now_epoch: int) -> bool:
    """A hold's time may have passed: it counts as given back from that moment."""
    return 0 < balance.holds_due <= now_epoch


def give_back_expired(books: Books, user_id: str, balance: Balance) -> None:
    """Give back what has expired, once, whoever else tries at the same time. Afterwards the balance must be read anew."""
    now = books.clock()
    page = books.store.query("quotas", user_id, prefix="hold#", limit=EXPIRED_AT_ONCE + 1)
    expired = [row for row in page.items if row["expires_at"] <= epoch(now)][:EXPIRED_AT_ONCE]
    still_open = [row["expires_at"] for row in page.items if row not in expired]
    next_due = min(still_open, default=0)
    units = sum(row["units"] for row in expired)
    movement = come_in(balance, units)
    account = Write(
        "quotas",
        (user_id, "quota"),
        set={"updated_at": stamp(now), **({"holds_due": next_due} if next_due else {})},
        add={"held": -units, **movement.add},
        remove=() if next_due else ("holds_due",),
        must=(equals("holds_due", balance.holds_due), equals("holds_placed", balance.holds_placed), *movement.must),
    )
    closing = (write for row in expired for write in close(row, "expired", 0, epoch(now)))
    try:
        books.store.commit(account, *closing)
    except RefusedError:
        return  # another hand gave them back, or placed a hold meanwhile: the caller reads again


def as_if_given_back(books: Books, user_id: str, balance: Balance) -> Balance:
    """The balance as it counts now, for those who may only read: what has expired is back, written or not."""
    now = epoch(books.clock())
    if not holds_are_due(balance, now):
        return balance
    units = 0
    for row in books.store.pages("quotas", user_id, prefix="hold#"):
        if row["expires_at"] > now:
            break  # the rows sort by expiry
        units += row["units"]
    back = come_in(balance, units).add
    return replace(
        balance,
        held=balance.held - units,
        remaining=balance.remaining + back["remaining"],
        debt=balance.debt + back.get("debt", 0),
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
        Write("quotas", (user_id, item), delete=True, must=(exists("user_id"), equals("units", row["units"]))),
        creates("quotas", (user_id, item.replace("hold#", "closed#", 1)), closed),
    )


def itemise(books: Books, user_id: str, balance: Balance) -> None:
    """A new day begins: the last day's use becomes one ledger entry, and plain debits stay one write each."""
    now = books.clock()
    units = balance.used - balance.itemised
    same_day = equals("use_day", balance.use_day) if balance.use_day else absent("use_day")
    same_use: Must = equals("used", balance.used) if balance.used else absent_or("used", "==", 0)
    account = Write(
        "quotas",
        (user_id, "quota"),
        set={"use_day": day(now), "itemised": balance.used},
        must=(exists("user_id"), same_day, same_use),
    )
    past_day = balance.use_day or day(now)
    entry = Entry(user_id, f"consumed:{past_day}", "consumed", -units, "day", past_day, stamp(now))
    try:
        books.store.commit(account, *([entry.write()] if units else []))
    except RefusedError as refused:
        if 0 in refused.old:
            return  # another hand did it
        # That day was itemised before a restore put the balance back: its rest goes with today's use. Debits must go on.
        with suppress(RefusedError):
            books.store.commit(replace(account, set={"use_day": day(now)}))
