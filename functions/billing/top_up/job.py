"""Defines what a run of an account's automatic charge needs."""

from collections.abc import Callable
from dataclasses import dataclass

from billing.books import Books
from billing.charging.asking import Asker

Report = Callable[[str, Exception], None]
"""Called with the payment's id and the error if an outcome is unknown or a
request was refused.
"""


@dataclass(frozen=True, slots=True)
class Job:
    """What a run of one account's automatic charge needs.

    ``find_lost(user_id, customer)`` settles charges that were made before but
    are missing in our records after a restore. It returns whether it found
    any.
    """

    books: Books
    asker: Asker
    report: Report = lambda *_: None
    find_lost: Callable[[str, str], bool] = lambda *_: False
