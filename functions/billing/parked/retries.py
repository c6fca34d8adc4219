"""Schedules the retries of a parked event.

A parked event is one from Stripe that cannot be settled (written to our
tables) yet, and is stored until it can.
"""

from datetime import timedelta
from typing import Final

from billing.books import Books
from billing.clock import epoch
from billing.errors import ConditionFailedError
from billing.parked.records import PARKED, Parked
from billing.storage.writes import Write, equals

RETRY_FIRST_SECONDS: Final = 30
"""The pause before the first retry. The function for recovery runs each
minute, so the first retry comes within two minutes. It finds out whether a
refund or dispute is ours.
"""
RETRY_LAST_SECONDS: Final = 6 * 3600
"""The longest pause between retries. Stripe itself retries for three days:
https://docs.stripe.com/webhooks#automatic-retries
"""


def resolve(books: Books, parked: Parked) -> None:
    """Delete the record of a parked event that is settled.

    The row that settlement has written for the event remains, so that a repeat
    of the event is recognised.
    """
    books.store.commit(Write("events", (PARKED, parked.name), delete=True))


def postpone(books: Books, parked: Parked) -> bool:
    """Set the time of the next retry. Each pause is twice the last one.

    Call it before the retry, in case the retry crashes the process.
    Returns False if a concurrent request has changed the record.
    """
    doubled = RETRY_FIRST_SECONDS * 2 ** (parked.tries + 1)
    pause = min(doubled, RETRY_LAST_SECONDS)
    later = epoch(books.clock() + timedelta(seconds=pause))
    write = Write(
        "events",
        (PARKED, parked.name),
        set={
            "next_try": 0 if parked.waits_for_operator else later,
            "tries": parked.tries + 1,
        },
        must=(equals("tries", parked.tries),),
    )
    try:
        books.store.commit(write)
    except ConditionFailedError:
        return False
    return True
