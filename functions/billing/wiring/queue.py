"""The books of those who hear of facts first, made where they are needed only: reading a quota must not pay for importing a queue."""

from dataclasses import replace
from functools import cache

from billing.books import Books
from billing.payments.fact_queue import Queue
from billing.wiring.container import books, settings


@cache
def receiving_books() -> Books:
    """What cannot be applied is kept in the queue as well."""
    return replace(books(), outbox=Queue(settings().parked_queue_url))
