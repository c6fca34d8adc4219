"""Taking units from an account: the conditional write behind debits and holds, and what to do when it is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from billing.books import Books
from billing.clock import day, epoch, stamp
from billing.errors import BillingError, ConditionFailedError, NotDoneError
from billing.quota import daily_usage, hold_expiry
from billing.quota.balance import Balance
from billing.quota.hold_expiry import GivingBack
from billing.storage.writes import Must, Write, absent_or, equals

EXACT_TRIES: Final = 2
"""How often a transaction insists on an exact ``remaining`` before it accepts one that is a moment
old."""
SEEN_MAX: Final = 1000


class Meter(NamedTuple):
    """The books, and where a customer without units buys more."""

    books: Books
    top_up_url: str


def take(
    user_id: str, units: int, now: datetime, into: str, back: GivingBack | None = None
) -> Write:
    """Move ``units`` from ``remaining`` into ``used`` or ``held``: refused when they are not there, or upkeep is due.

    With ``back``, what has expired is given back in the same write, and the account must be as it was seen.
    """
    today = Must("use_day", ">=", day(now))
    if back:
        seen, after = back.before, back.after
        moved = {
            "remaining": after.remaining - seen.remaining - units,
            "held": after.held - seen.held,
        }
        moved[into] = moved.get(into, 0) + units
        must = (*back.account.must, equals("remaining", seen.remaining), today)
        return back.account._replace(add={**back.account.add, **moved}, must=must)
    return Write(
        "quotas",
        (user_id, "quota"),
        set={"updated_at": stamp(now)},
        add={"remaining": -units, into: units},
        must=(Must("remaining", ">=", units), absent_or("holds_due", ">", epoch(now)), today),
    )


def make_way(meter: Meter, user_id: str, balance: Balance, units: int) -> GivingBack | None:
    """Before the write: give back what has expired on the account as it was seen last.

    What is returned, the write itself gives back.

    Each part that is given back is progress, so that none is followed by a pause.
    """
    books = meter.books
    for _ in books.store.deadline.attempts(pauses=False):
        if not hold_expiry.holds_are_due(balance, epoch(books.clock())):
            return None
        back = hold_expiry.giving_back(books, user_id, balance)
        if back.is_all and back.after.remaining >= units:
            return back
        books.store.commit(back.account, *back.closing)
        balance = back.after
    raise NotDoneError(
        f"more holds of {user_id} had expired than could be given back in time; nothing was taken"
    )


def look_again(meter: Meter, user_id: str, units: int, refused: ConditionFailedError) -> Balance:
    """After a refusal: the balance as it is now.

    Raise ``quota_exhausted`` if that is why; begin the day if that is due.
    """
    books = meter.books
    now = books.clock()
    balance = Balance.from_item(
        refused.old[0] if 0 in refused.old else books.store.get("quotas", (user_id, "quota"))
    )
    if balance.remaining < units and not hold_expiry.holds_are_due(balance, epoch(now)):
        detail = f"{units} units were asked for and {balance.remaining} remain; nothing was taken"
        raise BillingError(
            "quota_exhausted", detail, remaining=balance.remaining, top_up_url=meter.top_up_url
        )
    if balance.use_day < day(now):
        daily_usage.itemise(books, user_id, balance)
        balance = replace(balance, use_day=day(now), itemised=balance.used)
    return balance


Transaction = Callable[
    [Write, Balance, datetime, GivingBack | None], tuple[dict[str, Any], Balance]
]
_seen: dict[str, Balance] = {}


def take_knowing(
    meter: Meter, user_id: str, units: int, into: str, transaction: Transaction
) -> dict[str, Any]:
    """Run ``transaction`` with the write that takes the units, and the balance that it starts from; it returns answer and balance.

    A transaction cannot return what remains. So the first tries demand that nothing has changed since the balance was
    seen: with a balance from this container's last call that is one call in all. On an account that many spend from at
    once, later tries demand only that the units are there, and the answer's ``remaining`` may be a moment old: each
    insistence keeps the others off the account while it is refused.
    """
    store = meter.books.store
    balance = recalled(user_id) or Balance.from_item(store.get("quotas", (user_id, "quota")))
    exact_tries = EXACT_TRIES
    for _ in store.deadline.attempts():
        now = meter.books.clock()
        try:
            back = make_way(meter, user_id, balance, units)
            account = take(user_id, units, now, into, back)
            if exact_tries and not back:
                account = insisting(account, equals("remaining", balance.remaining))
            answer, left = transaction(account, back.after if back else balance, now, back)
        except ConditionFailedError as refused:
            exact_tries = max(0, exact_tries - 1)
            balance = look_again(meter, user_id, units, refused)
        except NotDoneError:
            if exact_tries:  # others are at it: what was seen is old by now
                exact_tries, balance = 0, Balance.from_item(store.get("quotas", (user_id, "quota")))
        else:
            if exact_tries or back:
                remember(user_id, left)
            return answer
    raise NotDoneError(
        f"the account {user_id} kept changing until the time was up; nothing was taken"
    )


def insisting(write: Write, *exact: Must) -> Write:
    """The write with further conditions."""
    return write._replace(must=(*write.must, *exact))


def recalled(user_id: str) -> Balance | None:
    """The balance that this container saw last, if any.

    It is forgotten here: only what is still right is remembered again.
    """
    return _seen.pop(user_id, None)


def remember(user_id: str, balance: Balance) -> None:
    """A guess for the next call, never a decision: the write's condition judges it."""
    while len(_seen) >= SEEN_MAX:
        _seen.pop(next(iter(_seen)))
    _seen[user_id] = balance
