"""Defines the Meter, which debits and holds need.

It has the Books, and the URL at which units are sold.
"""

from typing import NamedTuple

from billing.books import Books


class Meter(NamedTuple):
    """What debits and holds need: our tables, and where units are sold.

    ``top_up_url`` is shown to a customer who has too few units.
    """

    books: Books
    top_up_url: str
