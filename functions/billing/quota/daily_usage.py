"""Turns a past day's use into one ledger entry, so that a plain debit stays one write."""

from contextlib import suppress

from billing.books import Books
from billing.clock import day, stamp
from billing.errors import ConditionFailedError
from billing.quota.balance import Balance
from billing.quota.ledger import Entry
from billing.storage.writes import Must, Write, absent, absent_or, equals, exists


def itemise(books: Books, user_id: str, balance: Balance) -> None:
    """A new day begins: the last day's use becomes one ledger entry, and plain debits stay one write each."""
    now = books.clock()
    units = balance.used - balance.itemised
    same_day = equals("use_day", balance.use_day) if balance.use_day else absent("use_day")
    same_use: Must = equals("used", balance.used) if balance.used else absent_or("used", "==", 0)
    account = Write(
        "quotas",
        (user_id, "quota"),
        set={
            "use_day": day(now),
            "itemised": balance.used,
            **({"booked_at": stamp(now)} if units else {}),
        },
        must=(exists("user_id"), same_day, same_use),
    )
    past_day = balance.use_day or day(now)
    entry = Entry(user_id, f"consumed:{past_day}", "consumed", -units, "day", past_day, stamp(now))
    try:
        books.store.commit(account, *([entry.write()] if units else []))
    except ConditionFailedError as refused:
        if 0 in refused.old:
            return  # another hand did it
        # That day was itemised before a restore put the balance back: its rest goes with today's
        # use. Debits must go on.
        with suppress(ConditionFailedError):
            books.store.commit(account._replace(set={"use_day": day(now)}))
