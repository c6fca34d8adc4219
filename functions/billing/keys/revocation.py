"""Revokes API keys, and stops counting their use."""

import re
from contextlib import suppress
from typing import Final

from billing.books import Books
from billing.errors import BillingError, ConditionFailedError, RetryableError
from billing.keys.api_keys import ACCOUNT_AT
from billing.keys.counting import ID
from billing.keys.live_count import KEY_AT, commit_counted, count_write
from billing.quota.key_bookmarks import BUMP, write_uses
from billing.quota.key_totals import fold
from billing.quota.key_use import gone, left, name_of, used
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write, absent, exists

FOLDS_MAX: Final = 3
"""How often a revocation tries to move the API key's total off the balance."""


def revoke(books: Books, user_id: str, key_id: str) -> None:
    """Revoke an API key for good. Units that it used stay counted.

    Raises ``not_found`` for another user's API key and for a revoked one.
    """
    missing = no_such_key()
    if not re.fullmatch(ID, key_id):
        raise missing
    owner = user_key(user_id)
    has_some = Must("live", ">", 0)
    writes = (
        Write("keys", (owner, key_id), delete=True, must=(exists("owner"),)),
        Write(
            "keys", (f"key#{key_id.removeprefix('key_')}", "key"), delete=True
        ),
        count_write(owner, {"live": -1, "changes": 1}, has_some),
        *_stop_counting(user_id, key_id),
    )
    try:
        commit_counted(books, owner, writes)
    except ConditionFailedError as refused:
        if KEY_AT in refused.old:
            raise missing from refused
        _revoke_uncounted(books, user_id, key_id, writes)
    _put_away(books, user_id, key_id)


def _revoke_uncounted(
    books: Books, user_id: str, key_id: str, writes: tuple[Write, ...]
) -> None:
    """Revoke an API key for which the balance has no counters yet.

    ``writes`` is the transaction for an API key with counters. This function
    writes the same, on the condition that there are no counters to remove. If
    a concurrent debit has just created them, it calls ``revoke`` to begin
    again. Raises ``not_found`` if the API key is gone.
    """
    uncounted = Write(
        "quotas",
        (user_id, "quota"),
        add=BUMP,
        must=(absent(used(name_of(key_id))),),
    )
    changed = (*writes[:ACCOUNT_AT], uncounted, write_uses(user_id, {}))
    try:
        commit_counted(books, user_key(user_id), changed)
    except ConditionFailedError as refused:
        if KEY_AT in refused.old:
            raise no_such_key() from refused
        revoke(books, user_id, key_id)


def _stop_counting(user_id: str, key_id: str) -> tuple[Write, Write]:
    """Return the writes that remove the counters of a revoked API key.

    The units that the key ever used stay on the balance, in an attribute for
    revoked keys. DynamoDB itself copies the number there. So no concurrent
    debit is lost, and none makes the write fail.
    """
    name = name_of(key_id)
    account = Write(
        "quotas",
        (user_id, "quota"),
        add=BUMP,
        copy={gone(name): used(name)},
        remove=(used(name), left(name)),
        must=(exists(used(name)),),
    )
    return account, write_uses(user_id, {})


def _put_away(books: Books, user_id: str, key_id: str) -> None:
    """Move the units that a revoked API key ever used to a row of its own.

    They leave the balance's row, so that it stays small. If this fails, no
    error is raised: the start of the next day does it.
    """
    for _ in range(FOLDS_MAX):
        with suppress(ConditionFailedError, RetryableError):
            if writes := fold(books.store, user_id, key_id):
                books.store.commit(*writes)
            return


def no_such_key() -> BillingError:
    """Return the error for an API key that the user does not have."""
    return BillingError("not_found", "you have no such key")
