"""Taking units from an account: the one conditional write behind debits and holds, and what to do when it is refused."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from billing import upkeep
from billing.balances import Balance
from billing.books import Books
from billing.errors import BillingError, Item, OutcomeUnknownError, RefusedError
from billing.times import day, epoch, stamp
from billing.writes import Must, Write, absent_or, equals

EXACT_TRIES: Final = 3
"""How often a transaction insists on an exact ``remaining`` before it accepts one that is a moment old."""
SEEN_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Meter:
    """The books, and where a customer without units buys more."""

    books: Books
    top_up_url: str


class KeyUsedError(Exception):
    """The transaction's second write found its key in use."""

    def __init__(self, item: Item) -> None:
        """``item`` is what stands under that key."""
        super().__init__("this key was used before")
        self.item = item


def take(user_id: str, units: int, now: datetime, into: str) -> Write:
    """Move ``units`` from ``remaining`` into ``used`` or ``held``: refused when they are not there, or upkeep is due."""
    return Write(
        "quotas",
        (user_id, "quota"),
        set={"updated_at": stamp(now)},
        add={"remaining": -units, into: units},
        must=(
            Must("remaining", ">=", units),
            absent_or("holds_due", ">", epoch(now)),
            Must("use_day", ">=", day(now)),
        ),
    )


def make_way(meter: Meter, user_id: str, balance: Balance, units: int) -> None:
    """After a refusal: do the upkeep that was due, or raise ``quota_exhausted``. Then the write may be tried again."""
    now = meter.books.clock()
    if upkeep.holds_are_due(balance, epoch(now)):
        upkeep.give_back_expired(meter.books, user_id, balance)
    elif balance.remaining < units:
        detail = f"{units} units were asked for and {balance.remaining} remain; nothing was taken"
        raise BillingError("quota_exhausted", detail, remaining=balance.remaining, top_up_url=meter.top_up_url)
    elif balance.use_day < day(now):
        upkeep.itemise(meter.books, user_id, balance)


Transaction = Callable[[Balance, datetime, tuple[Must, ...]], dict[str, Any]]
_seen: dict[str, Balance] = {}


def take_knowing(meter: Meter, user_id: str, units: int, transaction: Transaction) -> dict[str, Any]:
    """Run ``transaction`` (its first write a ``take``) with the balance that it starts from.

    A transaction cannot return what remains. So the first tries demand that nothing has changed since the balance was
    seen: with a balance from this container's last call that is one call in all. On an account that many spend from at
    once, later tries demand only that the units are there, and the answer's ``remaining`` may be a moment old.
    """
    store = meter.books.store
    balance = _seen.pop(user_id, None) or Balance.from_item(store.get("quotas", (user_id, "quota")))
    for attempt in store.patience.attempts():
        exact = (equals("remaining", balance.remaining),) if attempt < EXACT_TRIES else ()
        try:
            answer = transaction(balance, meter.books.clock(), exact)
        except RefusedError as refused:
            if used := refused.old.get(1):
                raise KeyUsedError(used) from refused
            old = refused.old[0] if 0 in refused.old else store.get("quotas", (user_id, "quota"))
            balance = Balance.from_item(old)
            make_way(meter, user_id, balance, units)
            continue
        _remember(user_id, replace(balance, remaining=balance.remaining - units))
        return answer
    message = f"the account {user_id} kept changing until the time was up; nothing was taken"
    raise OutcomeUnknownError(message)


def _remember(user_id: str, balance: Balance) -> None:
    """A guess for the next call, never a decision: the write's condition judges it."""
    while len(_seen) >= SEEN_MAX:
        _seen.pop(next(iter(_seen)))
    _seen[user_id] = balance
