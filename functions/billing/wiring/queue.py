"""Builds the books of functions that receive events. Only they import this, and pay for SQS."""

from dataclasses import replace
from functools import cache

from billing.books import Books
from billing.payments.fact_queue import Queue
from billing.wiring.container import books, settings


@cache
def receiving_books() -> Books:
    """Return books that also keep in the queue what cannot be applied yet."""
    return replace(books(), outbox=Queue(settings().parked_queue_url))
