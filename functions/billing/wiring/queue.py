"""Creates the books of functions that receive events.

Other functions do not load the SQS client.
"""

from dataclasses import replace
from functools import cache

from billing.books import Books
from billing.payments.fact_queue import Queue
from billing.wiring.container import books, settings


@cache
def receiving_books() -> Books:
    """Return books with a queue, which keeps the events that cannot be settled yet."""
    return replace(books(), outbox=Queue(settings().parked_queue_url))
