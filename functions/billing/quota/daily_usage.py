"""Books each past day's use as one ledger entry, so that a plain debit stays one write."""

from contextlib import suppress

from billing.books import Books
from billing.clock import day, stamp
from billing.errors import ConditionFailedError
from billing.quota.balance import Balance
from billing.quota.key_days import roll_over
from billing.quota.ledger import Entry
from billing.storage.writes import (
    Must,
    Write,
    absent,
    absent_or,
    equals,
    exists,
)


def itemise(books: Books, user_id: str, balance: Balance) -> None:
    """Book the last day's use as one ledger entry, and start a new day.

    The entry also shows the use of each API key, and the keys' daily
    limits start again. Idempotent: if a concurrent request did it first,
    nothing is written.
    """
    now = books.clock()
    today, booked_at = day(now), stamp(now)
    units = balance.used - balance.itemised
    begun: dict[str, str | int] = {"use_day": today, "itemised": balance.used}
    if units:
        begun["booked_at"] = booked_at
    account = Write(
        "quotas", (user_id, "quota"), set=begun, must=_unchanged(balance)
    )
    keys = roll_over(books.store, user_id, balance, today, is_booked=True)
    past_day = balance.use_day or today
    entry = Entry(
        user_id,
        f"consumed:{past_day}",
        "consumed",
        -units,
        "day",
        past_day,
        booked_at,
        by_key=keys.by_key,
    )
    booking = (entry.write(),) if units else ()
    try:
        books.store.commit(keys.onto(account), *booking, *keys.writes)
    except ConditionFailedError as refused:
        if 0 in refused.old:
            return  # a concurrent request did it
        # That day was itemised before a restore put the balance back: its rest goes with today's
        # use. Debits must go on.
        account = account._replace(set={"use_day": today})
        keys = roll_over(books.store, user_id, balance, today, is_booked=False)
        with suppress(ConditionFailedError):
            books.store.commit(keys.onto(account), *keys.writes)


def _unchanged(balance: Balance) -> tuple[Must, ...]:
    same_day = (
        equals("use_day", balance.use_day)
        if balance.use_day
        else absent("use_day")
    )
    same_use = (
        equals("used", balance.used)
        if balance.used
        else absent_or("used", "==", 0)
    )
    return (exists("user_id"), same_day, same_use)
