"""Defines Job: the clients and callbacks to run automatic charges with."""

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
    """Holds the clients and callbacks that run automatic charges.

    ``asker`` makes the calls to Stripe. ``find_lost(user_id, customer)``
    settles charges that Stripe has made but that our tables lack after a
    restore. It returns whether it found any.
    """

    books: Books
    asker: Asker
    report: Report = lambda *_: None
    find_lost: Callable[[str, str], bool] = lambda *_: False
