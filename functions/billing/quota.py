"""Reading and debiting a quota. Never below zero, and never twice by our own doing.

A plain debit is one conditional write, and is not repeated when its answer is lost. A debit with a key is one transaction that
also keeps the answer for replay.
"""

from datetime import datetime
from typing import Any, Final

from billing import upkeep
from billing.balances import Balance
from billing.books import Books
from billing.errors import BillingError, OutcomeUnknownError, RefusedError
from billing.identity import digest, new_id
from billing.spending import KeyUsedError, Meter, make_way, take, take_knowing
from billing.times import epoch
from billing.writes import Must, Write, creates

REPLAY_SECONDS: Final = 30 * 24 * 3600
"""How long a keyed debit is replayed. Callers repeat within minutes; Stripe keeps its own keys for a day."""


def read(books: Books, user_id: str) -> Balance:
    """The balance now; holds past their time count as given back. One call, one more when a hold has expired."""
    balance = Balance.from_item(books.store.get("quotas", (user_id, "quota")))
    return upkeep.as_if_given_back(books, user_id, balance)


def debit(meter: Meter, user_id: str, units: int) -> dict[str, Any]:
    """Take ``units``, or raise ``quota_exhausted`` and take nothing. One conditional write."""
    store = meter.books.store
    for _ in store.patience.attempts():
        now = meter.books.clock()
        try:
            new = store.update(take(user_id, units, now, "used"))
        except RefusedError as refused:
            make_way(meter, user_id, Balance.from_item(refused.old[0]), units)
            continue
        return {"debit_id": new_id("deb", now), "units": units, "remaining": new["remaining"]}
    message = f"the account {user_id} kept changing until the time was up; nothing was taken"
    raise OutcomeUnknownError(message)


def debit_once(meter: Meter, user_id: str, units: int, scope: str, key: str) -> dict[str, Any]:
    """The same under an idempotency key of one caller (``scope``): a repeat replays, another body is a conflict."""
    row, body = f"debit#{digest(scope, key)}", digest(user_id, str(units))

    def transaction(balance: Balance, now: datetime, exact: tuple[Must, ...]) -> dict[str, Any]:
        answer = {"debit_id": new_id("deb", now), "units": units, "remaining": max(0, balance.remaining - units)}
        kept = creates("quotas", (row, "debit"), {"answer": answer, "body": body, "ttl": epoch(now) + REPLAY_SECONDS})
        meter.books.store.commit(insisting(take(user_id, units, now, "used"), exact), kept)
        return answer

    try:
        return take_knowing(meter, user_id, units, transaction)
    except KeyUsedError as used:
        if used.item["body"] != body:
            detail = "this Idempotency-Key was used with another body; send a new key for a new debit"
            raise BillingError("idempotency_conflict", detail) from used
        return {**used.item["answer"], "idempotent_replayed": True}


def insisting(write: Write, exact: tuple[Must, ...]) -> Write:
    """The write with further conditions."""
    return Write(write.table, write.key, set=write.set, add=write.add, must=(*write.must, *exact))
