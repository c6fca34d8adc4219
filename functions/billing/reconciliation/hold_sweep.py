"""Releases expired holds, and removes expired lots, of all accounts.

Without it, only an account's next request would do so. A lot is the units of
one purchase or grant.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from billing.account import lot_reminders
from billing.books import Books
from billing.clock import epoch
from billing.errors import RetryableError
from billing.expiry import upkeep

SWEEP_PAGES_MAX: Final = 10


def sweep_holds(books: Books, go_on: Callable[[], bool] = lambda: True) -> int:
    """Release expired holds and remove expired lots, of all accounts.

    It also sends events for lots that expire soon. Returns how many rows
    of the index were read. The sweep stops when ``go_on()``, called before
    each account, returns False. The next sweep finds the rest. A lot is
    the units of one purchase or grant.
    """
    seen, after = 0, None
    for mark, ahead in lot_reminders.marks(books):
        for _ in range(SWEEP_PAGES_MAX):
            books.store.deadline.begin()
            page = books.store.due(epoch(books.clock()) + ahead, after, mark)
            users = Counter(item["user_id"] for item in page.items)
            for user_id, rows in sorted(users.items()):
                if not go_on():
                    return seen
                seen += rows
                books.store.deadline.begin()
                with suppress(
                    RetryableError
                ):  # one account's trouble must not stop the others
                    _bring_up_to_date(books, user_id, ahead)
            if (after := page.after) is None:
                break
    return seen


def _bring_up_to_date(books: Books, user_id: str, ahead: int) -> None:
    upkeep.bring_up_to_date(books, user_id)
    if ahead:
        lot_reminders.tell_of_expiry(books, user_id)
