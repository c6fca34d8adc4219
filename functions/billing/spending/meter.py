"""Defines Meter, which holds what every debit and hold needs.

That is the client of our tables, and the URL at which units are sold.
"""

from typing import NamedTuple

from billing.books import Books


class Meter(NamedTuple):
    """Holds what debits and holds need: our tables, and a link to buy units.

    ``top_up_url`` is the link. It is shown to a customer who has too few
    units.
    """

    books: Books
    top_up_url: str
