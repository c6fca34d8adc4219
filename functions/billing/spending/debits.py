"""Reads and debits a quota. It never falls below zero, and we never debit twice.

A plain debit is one conditional write, and is not repeated when its answer is lost. A debit with an
idempotency key is one transaction that also stores the answer for replay.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from billing.answers import Count, LimitLeft, Member, Remaining, members
from billing.books import Books
from billing.clock import epoch
from billing.errors import (
    BillingError,
    ConditionFailedError,
    Item,
    NotDoneError,
)
from billing.expiry import present
from billing.ids import digest, new_id
from billing.quota.balance import Balance, read_account
from billing.quota.key_use import KeyUse, limit_remaining
from billing.spending.attempt import Attempt, prepare
from billing.spending.memory import recall, remember
from billing.spending.meter import Meter
from billing.spending.taking import Taking
from billing.spending.tries import (
    EXACT_TRIES,
    hurry_charge,
    look_again,
    take_in_transaction,
)
from billing.storage.dynamodb import Store
from billing.storage.writes import creates

REPLAY_SECONDS: Final = 30 * 24 * 3600
"""How long a keyed debit is replayed.

Callers repeat within minutes; Stripe keeps its own keys for a day.
"""
Replayed = Annotated[
    bool,
    Member(
        description="there, and true, when this is the answer of an earlier call"
    ),
]


@dataclass(frozen=True, slots=True)
class Debit:
    """The answer to a debit: the units were used for good."""

    debit_id: str
    units: Count
    remaining: Remaining
    limit_remaining: LimitLeft | None = None
    idempotent_replayed: Replayed = False


class _KeyUsedError(Exception):
    """A debit's key is in use: ``item`` is what stands under it."""

    def __init__(self, item: Item) -> None:
        super().__init__("this key was used before")
        self.item = item


def read(books: Books, user_id: str) -> Balance:
    """Return the quota now. Expired holds count as released, expired lots as gone.

    It makes one call to DynamoDB, and one more if a hold has expired, two if a lot has.
    """
    return present.read(books, user_id, read_account(books.store, user_id))


def debit(
    meter: Meter, user_id: str, units: int, key: KeyUse | None = None
) -> Debit:
    """Take ``units``, or raise ``quota_exhausted`` and take nothing. One conditional write.

    If a hold has expired, it queries the holds, and one transaction releases them and debits. A
    debit that crosses a threshold is a transaction with what it tells and opens. If this container
    has not seen that hold or threshold, DynamoDB refuses the first write, and this follows.
    """
    taking = Taking(user_id, units, "used", key)
    balance = recall(user_id)
    for number in meter.books.store.deadline.attempts():
        is_exact = number < EXACT_TRIES
        try:
            attempt = prepare(meter, taking, balance, is_exact=is_exact)
            left = _write(meter, attempt)
        except ConditionFailedError as refused:
            balance = look_again(meter, taking, refused)
            continue
        remember(user_id, left)
        hurry_charge(meter, attempt)
        return Debit(
            new_id("deb", attempt.now),
            units,
            left.remaining,
            limit_remaining(left, key),
        )
    raise NotDoneError(
        "the account kept changing until the deadline; nothing was taken"
    )


def _write(meter: Meter, attempt: Attempt) -> Balance:
    """Make one write, or a transaction where rows stand beside it. Return what is left."""
    store = meter.books.store
    if attempt.beside:
        store.commit(attempt.account, *attempt.beside)
        return attempt.left(attempt.balance)
    return Balance.from_item(store.update(attempt.account))


def debit_once(
    meter: Meter,
    user_id: str,
    units: int,
    scope: str,
    key: str,
    *,
    api_key: KeyUse | None = None,
) -> Debit:
    """Debit once under an idempotency key. ``scope`` is the caller.

    A repeat gets the first answer again. The same key with another body raises
    ``idempotency_conflict``.
    """
    row = (f"debit#{digest(scope, key)}", "debit")
    of_key = (api_key.key_id,) if api_key else ()
    body = digest(user_id, str(units), *of_key)

    def transaction(attempt: Attempt) -> tuple[Debit, Balance]:
        left = attempt.left(attempt.balance)
        of_limit = limit_remaining(left, api_key)
        answer = Debit(
            new_id("deb", attempt.now), units, max(0, left.remaining), of_limit
        )
        _commit_once(meter.books.store, attempt, row, body, answer)
        return answer, left

    taking = Taking(user_id, units, "used", api_key)
    try:
        return take_in_transaction(meter, taking, transaction)
    except _KeyUsedError as used:
        return _replay(used, body)


def _commit_once(
    store: Store,
    attempt: Attempt,
    row: tuple[str, str],
    body: str,
    answer: Debit,
) -> None:
    """Commit one attempt, and the answer under the key.

    All or nothing::

        0    user, quota     remaining -= units, used += units    if the units are there
        1    debit#, debit   answer, body, ttl                    if the key is new
        2..  what stands beside the account's write: see Attempt
    """
    kept = {
        "answer": members(answer),
        "body": body,
        "ttl": epoch(attempt.now) + REPLAY_SECONDS,
    }
    writes = (attempt.account, creates("quotas", row, kept), *attempt.beside)
    try:
        store.commit_once(*writes, clears_up=True)
    except ConditionFailedError as refused:
        if used := refused.old.get(1):
            raise _KeyUsedError(used) from refused
        raise


def _replay(used: _KeyUsedError, body: str) -> Debit:
    """Return the answer that is kept under the key, if the body is the same."""
    if used.item["body"] != body:
        detail = "this Idempotency-Key was used with another body; send a new key for a new debit"
        raise BillingError("idempotency_conflict", detail) from used
    kept = used.item["answer"]
    return Debit(**kept, idempotent_replayed=True)
