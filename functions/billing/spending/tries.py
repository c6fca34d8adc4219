"""Takes units in a transaction, and tries again on the present balance when it is refused."""

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
"""How often a transaction insists on an exact ``remaining`` before it accepts one that is a moment
old."""
_Answer = TypeVar("_Answer")


Transaction = Callable[[Attempt], tuple[_Answer, Balance]]
"""Commits an attempt beside its own rows; returns the answer and the balance afterwards."""


def take_in_transaction(
    meter: Meter, taking: Taking, transaction: Transaction[_Answer]
) -> _Answer:
    """Take units in a transaction that writes other rows too, and return its answer.

    DynamoDB does not return what remains after a transaction, so the answer is computed from a
    balance that was seen before. There are two phases:

    1. Optimistic, the first EXACT_TRIES: the write also demands the exact ``remaining`` that was
       seen. With the balance of this container's last call, that is one call in all.
    2. Only enough: the write demands that the units are there. The answer's ``remaining`` may be a
       moment old. Exact writes would keep losing the race on an account with many concurrent
       requests, and each refused transaction keeps the others off the account.
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
    """Return the present balance after DynamoDB refused a write.

    Raises ``quota_exhausted`` if that is why, and KeyNotCountedError or KeyLimitReachedError where
    it is the key. Begins the day if that is due.
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
    """Raise KeyLimitReachedError if the key's limit leaves less than ``units``."""
    units_left_of_limit = balance.keys.get(left(key.name))
    if units_left_of_limit is not None and units_left_of_limit < units:
        raise KeyLimitReachedError(units_left_of_limit)


def hurry_charge(meter: Meter, attempt: Attempt) -> None:
    """Ask for the charge that this attempt has opened. A debit never waits for it."""
    if attempt.opens_charge:
        meter.books.top_ups.hurry(attempt.taking.user_id)
