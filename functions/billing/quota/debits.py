"""Reading and debiting a quota. Never below zero, and never twice by our own doing.

A plain debit is one conditional write, and is not repeated when its answer is lost. A debit with a
key is one transaction that also keeps the answer for replay.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from billing.books import Books
from billing.clock import epoch
from billing.errors import BillingError, ConditionFailedError, Item, NotDoneError
from billing.ids import digest, new_id
from billing.quota import hold_expiry
from billing.quota.balance import Balance
from billing.quota.hold_expiry import GivingBack
from billing.quota.spending import (
    Meter,
    look_again,
    make_way,
    recalled,
    remember,
    take,
    take_knowing,
)
from billing.storage.writes import Write, creates

REPLAY_SECONDS: Final = 30 * 24 * 3600
"""How long a keyed debit is replayed.

Callers repeat within minutes; Stripe keeps its own keys for a day.
"""


class _KeyUsedError(Exception):
    """A debit's key is in use: ``item`` is what stands under it."""

    def __init__(self, item: Item) -> None:
        super().__init__("this key was used before")
        self.item = item


def read(books: Books, user_id: str) -> Balance:
    """The balance now; holds past their time count as given back.

    One call, one more when a hold has expired.
    """
    balance = Balance.from_item(books.store.get("quotas", (user_id, "quota")))
    return hold_expiry.as_if_given_back(books, user_id, balance)


def debit(meter: Meter, user_id: str, units: int) -> dict[str, Any]:
    """Take ``units``, or raise ``quota_exhausted`` and take nothing. One conditional write.

    When a hold has expired: a query and a transaction that gives back and takes; if this container
    has not seen that hold, they follow a refused write.
    """
    balance = recalled(user_id)
    for _ in meter.books.store.deadline.attempts():
        now = meter.books.clock()
        try:
            back = make_way(meter, user_id, balance, units) if balance else None
            new = _taken(meter.books, take(user_id, units, now, "used", back), units, back)
        except ConditionFailedError as refused:
            balance = look_again(meter, user_id, units, refused)
            continue
        remember(user_id, new)
        return {"debit_id": new_id("deb", now), "units": units, "remaining": new.remaining}
    raise NotDoneError(
        f"the account {user_id} kept changing until the time was up; nothing was taken"
    )


def _taken(books: Books, account: Write, units: int, back: GivingBack | None) -> Balance:
    if back and back.closing:
        books.store.commit(account, *back.closing)
        return replace(
            back.after, used=back.after.used + units, remaining=back.after.remaining - units
        )
    return Balance.from_item(books.store.update(account))


def debit_once(meter: Meter, user_id: str, units: int, scope: str, key: str) -> dict[str, Any]:
    """The same under an idempotency key of one caller (``scope``): a repeat replays, another body is a conflict."""
    row, body = f"debit#{digest(scope, key)}", digest(user_id, str(units))

    def transaction(
        account: Write, balance: Balance, now: datetime, back: GivingBack | None
    ) -> tuple[dict[str, Any], Balance]:
        answer = {
            "debit_id": new_id("deb", now),
            "units": units,
            "remaining": max(0, balance.remaining - units),
        }
        kept = creates(
            "quotas",
            (row, "debit"),
            {"answer": answer, "body": body, "ttl": epoch(now) + REPLAY_SECONDS},
        )
        try:
            meter.books.store.commit_once(
                account, kept, *(back.closing if back else ()), clears_up=True
            )
        except ConditionFailedError as refused:
            if used := refused.old.get(1):
                raise _KeyUsedError(used) from refused
            raise
        return answer, replace(
            balance, used=balance.used + units, remaining=balance.remaining - units
        )

    try:
        return take_knowing(meter, user_id, units, "used", transaction)
    except _KeyUsedError as used:
        if used.item["body"] != body:
            detail = (
                "this Idempotency-Key was used with another body; send a new key for a new debit"
            )
            raise BillingError("idempotency_conflict", detail) from used
        return {**used.item["answer"], "idempotent_replayed": True}
