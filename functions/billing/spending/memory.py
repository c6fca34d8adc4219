"""Remembers the balance of each account that this process saw last.

The next debit or hold of the account begins with it instead of a read. If it
is out of date, DynamoDB refuses the write.
"""

import sys
from typing import Final

from billing.quota.balance import Balance

UNSEEN: Final = Balance(remaining=sys.maxsize)
"""What we assume of an account that this process has not seen: that its
thresholds are the template's, and that it is far above them. If that is
wrong, DynamoDB refuses the write.
"""
SEEN_MAX: Final = 1000
"""How many accounts' balances this process remembers."""
_seen: dict[str, Balance] = {}


def recall(user_id: str) -> Balance | None:
    """Return and forget the user's balance as this process saw it last.

    Returns None if it has none. Callers store it again only if it is still
    right.
    """
    return _seen.pop(user_id, None)


def remember(user_id: str, balance: Balance) -> None:
    """Keep a balance as a guess for the next call.

    If the guess is wrong then, DynamoDB refuses the write.
    """
    while len(_seen) >= SEEN_MAX:
        _seen.pop(next(iter(_seen)))
    _seen[user_id] = balance
