"""Creates the Books for functions that receive events from Stripe.

Other functions do not load the SQS client.
"""

from dataclasses import replace
from functools import cache

from billing.books import Books
from billing.payments.fact_queue import Queue
from billing.wiring.container import books, settings


@cache
def receiving_books() -> Books:
    """Return Books with a queue.

    The queue keeps the events that cannot be settled yet.
    """
    return replace(books(), outbox=Queue(settings().parked_queue_url))
