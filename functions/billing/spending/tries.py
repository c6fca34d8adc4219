"""Takes units in a transaction, and tries again if DynamoDB refuses it.

Each new try uses the balance as it is stored then.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from billing.clock import day, epoch
from billing.errors import BillingError, ConditionFailedError, NotDoneError
from billing.expiry import upkeep
from billing.quota import daily_usage
from billing.quota.balance import Balance, read_account
from billing.quota.key_use import (
    KeyLimitReachedError,
    KeyNotCountedError,
    KeyUse,
    left,
    used,
)
from billing.spending.attempt import Attempt, prepare
from billing.spending.memory import recall, remember
from billing.spending.meter import Meter
from billing.spending.taking import Taking

EXACT_TRIES: Final = 2
"""How many attempts require that ``remaining`` is exactly as it was read.
Later attempts accept that it has changed.
"""
_Answer = TypeVar("_Answer")


Transaction = Callable[[Attempt], tuple[_Answer, Balance]]
"""Commits an attempt together with rows of its own. Returns the answer and the
balance after it.
"""


def take_in_transaction(
    meter: Meter, taking: Taking, transaction: Transaction[_Answer]
) -> _Answer:
    """Take units in a transaction with other writes, and return its answer.

    DynamoDB does not return what remains after a transaction, so the answer is
    computed from a balance that was seen before. There are two phases:

    1. The first EXACT_TRIES: the write has the condition that ``remaining`` is
       exactly what was seen. If this container remembers the right balance, no
       read is needed.
    2. After that: the write has only the condition that there are enough
       units. The answer's ``remaining`` may be a moment old. On an account
       with many concurrent requests, the first condition would keep failing,
       and each refused transaction delays the others.
    """
    store, user_id = meter.books.store, taking.user_id
    balance = recall(user_id) or read_account(store, user_id)
    exact_tries = EXACT_TRIES
    for _ in store.deadline.attempts():
        is_exact = exact_tries > 0
        try:
            attempt = prepare(meter, taking, balance, is_exact=is_exact)
            if is_exact:
                attempt = attempt.of_same_remaining()
            answer, left = transaction(attempt)
        except ConditionFailedError as refused:
            exact_tries -= 1
            balance = look_again(meter, taking, refused)
        except NotDoneError:
            if (
                is_exact
            ):  # a concurrent request was at it: what was seen is stale by now
                exact_tries = 0
                balance = read_account(store, user_id)
        else:
            if is_exact or attempt.expired:
                remember(user_id, left)
            hurry_charge(meter, attempt)
            return answer
    raise NotDoneError(
        "the account kept changing until the deadline; nothing was taken"
    )


def look_again(
    meter: Meter, taking: Taking, refused: ConditionFailedError
) -> Balance:
    """Return the balance after DynamoDB refused a write, to try again.

    Raises ``quota_exhausted`` if too few units remain, KeyNotCountedError
    if the balance has no counters of the API key, and KeyLimitReachedError
    if the key's limit leaves too few. If a new day has begun, it books the
    last day's use first.
    """
    books, user_id, units = meter.books, taking.user_id, taking.least
    now = books.clock()
    if 0 in refused.old:
        balance = Balance.from_item(refused.old[0])
    else:
        balance = read_account(books.store, user_id)
    if taking.key and used(taking.key.name) not in balance.keys:
        raise KeyNotCountedError
    is_due = upkeep.is_due(balance, epoch(now))
    if balance.remaining < units and not is_due:
        detail = f"{units} units were asked for and {balance.remaining} remain; nothing was taken"
        raise BillingError(
            "quota_exhausted",
            detail,
            remaining=balance.remaining,
            top_up_url=meter.top_up_url,
        )
    if balance.use_day < day(now):
        daily_usage.itemise(books, user_id, balance)
        if balance.keys:  # their limits may have begun a new window
            balance = read_account(books.store, user_id)
    if taking.key and not is_due:
        _check_limit(balance, taking.key, units)
    return balance


def _check_limit(balance: Balance, key: KeyUse, units: int) -> None:
    """Raise KeyLimitReachedError if the API key's limit is too small.

    That is, if the limit leaves less than ``units``.
    """
    units_left_of_limit = balance.keys.get(left(key.name))
    if units_left_of_limit is not None and units_left_of_limit < units:
        raise KeyLimitReachedError(units_left_of_limit)


def hurry_charge(meter: Meter, attempt: Attempt) -> None:
    """Ask for the automatic charge that a debit or hold has opened, if any.

    ``attempt`` is the try that wrote it. Another Lambda function makes the
    charge, so the debit or hold does not wait for it.
    """
    if attempt.opens_charge:
        meter.books.top_ups.hurry(attempt.taking.user_id)
