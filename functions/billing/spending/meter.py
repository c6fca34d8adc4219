"""Defines the Meter, which debits and holds need.

It has the Books, and the URL at which units are sold.
"""

from typing import NamedTuple

from billing.books import Books


class Meter(NamedTuple):
    """The books, and the address where a customer can buy units."""

    books: Books
    top_up_url: str
