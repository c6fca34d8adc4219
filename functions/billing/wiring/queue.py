"""Creates the clients and settings to receive events from Stripe with.

They include an SQS client, for the queue that keeps events that cannot be
written to our tables yet. So only Lambda functions that receive events load
this module.
"""

from dataclasses import replace
from functools import cache

from billing.books import Books
from billing.payments.fact_queue import Queue
from billing.wiring.container import books, settings


@cache
def receiving_books() -> Books:
    """Return the clients and settings (Books) to work on events from Stripe.

    These have a queue. It keeps each event that cannot be written to our
    tables yet.
    """
    return replace(books(), outbox=Queue(settings().parked_queue_url))
