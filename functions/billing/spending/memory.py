"""Remembers the balances that this container saw last, as guesses for the next call."""

import sys
from typing import Final

from billing.quota.balance import Balance

UNSEEN: Final = Balance(remaining=sys.maxsize)
"""What is assumed of an account that this container has not seen: it has the template's thresholds
and is far from all of them. The write is refused where that is wrong."""
SEEN_MAX: Final = 1000
"""Accounts that a container remembers."""
_seen: dict[str, Balance] = {}


def recall(user_id: str) -> Balance | None:
    """Return the balance that this container saw last, if any, and forget it.

    Callers remember the balance again only if it is still right.
    """
    return _seen.pop(user_id, None)


def remember(user_id: str, balance: Balance) -> None:
    """Keep a balance as a guess for the next call. The write's condition checks the guess."""
    while len(_seen) >= SEEN_MAX:
        _seen.pop(next(iter(_seen)))
    _seen[user_id] = balance
