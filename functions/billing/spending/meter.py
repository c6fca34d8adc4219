"""Defines the meter that debits and holds are counted by."""

from typing import NamedTuple

from billing.books import Books


class Meter(NamedTuple):
    """The books, and the address where a customer can buy units."""

    books: Books
    top_up_url: str
