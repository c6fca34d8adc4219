"""Reads and debits a quota.

A debit never makes the quota negative, and units are never debited twice. A
plain debit is one conditional write. If the answer to that write is lost, the
write is not repeated. A debit with an idempotency key is one transaction,
which also stores the answer for repeats.
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
"""How long the answer to a debit with an idempotency key is kept for repeats.

Callers repeat within minutes, and Stripe keeps its idempotency keys for a day.
"""
Replayed = Annotated[
    bool,
    Member(
        description="there, and true, when this is the answer of an earlier call"
    ),
]


@dataclass(frozen=True, slots=True)
class Debit:
    """The API's response to a debit, which has used units for good.

    ``remaining`` is what the user can still spend, and ``limit_remaining``
    what is left of the API key's limit.
    """

    debit_id: str
    units: Count
    remaining: Remaining
    limit_remaining: LimitLeft | None = None
    idempotent_replayed: Replayed = False


class _KeyUsedError(Exception):
    """A debit's idempotency key was used before.

    ``item`` is the row that is stored for that idempotency key.
    """

    def __init__(self, item: Item) -> None:
        self.item = item


def read(books: Books, user_id: str) -> Balance:
    """Return the quota now.

    Expired holds count as released. Lots (units of one purchase or grant)
    that have expired count as gone. It makes one call to DynamoDB, one
    more if a hold has expired, and two more if a lot has.
    """
    return present.read(books, user_id, read_account(books.store, user_id))


def debit(
    meter: Meter, user_id: str, units: int, key: KeyUse | None = None
) -> Debit:
    """Take ``units`` from the account for good, and return the Debit.

    Raises ``quota_exhausted`` if too few remain, and takes nothing. ``key`` is
    the API key for which the units are counted, or None. Usually this is one
    conditional write. A transaction is needed if a hold has expired, because
    it must be released too, and if the debit crosses a threshold (an event to
    the seller, an automatic top-up). If the balance that this process
    remembers is stale, DynamoDB refuses the first write, and the debit is
    tried again with the balance that is stored.
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
    """Write a debit, and return the balance after it.

    It is one update of the balance, or a transaction if the attempt also
    writes other rows, for example an event to the seller.
    """
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
    """Debit units once for an idempotency key, and return the debit.

    ``key`` is the caller's idempotency key, and ``scope`` identifies the
    caller. A repeat returns the first debit again. The same idempotency key
    with another body raises ``idempotency_conflict``. ``api_key`` is the API
    key for which the units are counted.
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
    """Commit one attempt to debit, with its answer stored for repeats.

    All or nothing::

                 key            writes               if
            0    user, quota    remaining -= units   the units are there
                                used += units
            1    debit#, debit  answer, body, ttl    the key is new
            2..  other rows of the attempt: see Attempt.beside

    ``key`` in the last column is the idempotency key. Raises _KeyUsedError if
    it was used before.
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
    """Return the answer stored for the idempotency key.

    Raises ``idempotency_conflict`` if the key was used with another body.
    """
    if used.item["body"] != body:
        detail = "this Idempotency-Key was used with another body; send a new key for a new debit"
        raise BillingError("idempotency_conflict", detail) from used
    kept = used.item["answer"]
    return Debit(**kept, idempotent_replayed=True)
