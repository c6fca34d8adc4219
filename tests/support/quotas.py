"""What an account shows, once the laws hold, and what a refusal says."""

from collections.abc import Callable

import pytest
from billing.books import Books
from billing.errors import BillingError
from billing.quota.balance import Balance
from billing.spending import debits
from support import laws


def balance(books: Books) -> Balance:
    """Alice's."""
    laws.check(books.store)
    return debits.read(books, "alice")


def three(books: Books) -> tuple[int, int, int]:
    """What she used, holds and has left."""
    now = balance(books)
    return now.used, now.held, now.remaining


def refused(act: Callable[[], object]) -> str:
    """The code of the refusal."""
    with pytest.raises(BillingError) as refusal:
        act()
    return refusal.value.code
