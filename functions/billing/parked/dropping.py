"""Drops parked events that an operator decided not to settle, and brings them back."""

from collections.abc import Iterator
from contextlib import suppress

from billing.books import Books
from billing.clock import epoch, stamp
from billing.errors import ConditionFailedError
from billing.facts import (
    to_item,
)
from billing.parked.records import DROPPED, PARKED, Parked
from billing.parked.retries import RETRY_FIRST_SECONDS
from billing.payments import references
from billing.storage.writes import Write, equals


def drop(books: Books, parked: Parked, reason: str) -> None:
    """Record that an operator decided not to settle a parked event.

    A parked event is one of Stripe's that was kept because it could not be
    settled. Its record is deleted, and a record of a dropped event, with the
    operator's ``reason``, is written in its place.
    """
    books.store.commit(*_dropping(books, parked, reason))


def drop_with_purchase(
    books: Books, parked: Parked, funding_id: str, payment_intent: str
) -> bool:
    """Drop a parked refund or dispute, because its purchase was dropped.

    An event is dropped if an operator decides not to settle it.
    ``funding_id`` is the id of the purchase's session or payment intent. The
    event is also listed as dropped in a row of ``payment_intent``. If the
    purchase is credited after all, ``bring_back`` finds it there, and parks it
    again first. Returns True, or False if nothing was dropped, because the
    purchase is credited already or the event has changed.
    """
    reason = f"{funding_id}, whose money it gives back, was dropped"
    shown = references.waits_dropped(payment_intent, parked.name)
    try:
        books.store.commit(*_dropping(books, parked, reason), shown)
    except ConditionFailedError:
        return False
    return True


def _dropping(books: Books, parked: Parked, reason: str) -> tuple[Write, Write]:
    shown = {
        name: value
        for name, value in parked.as_answer().items()
        if name != "fact_id"
    }
    item = {
        **shown,
        "fact": to_item(parked.fact),
        "reason": reason,
        "dropped_at": stamp(books.clock()),
    }
    same = equals("kind", parked.kind)
    return (
        Write("events", (PARKED, parked.name), delete=True, must=(same,)),
        Write("events", (DROPPED, parked.name), set=item),
    )


def bring_back(
    books: Books, payment_intent: str, dropped: frozenset[str]
) -> None:
    """Park a purchase's dropped refunds and disputes again.

    To park an event is to store it for a later retry. These were dropped (not
    to be retried) when an operator dropped their purchase. The purchase cannot
    be credited before this is done. ``dropped`` are the keys of the events'
    records. If a concurrent request brings them back too, this one stops
    without an error.
    """
    with suppress(
        ConditionFailedError
    ):  # a concurrent request brings them back: look again
        for name in sorted(dropped):
            again = references.waits_again(payment_intent, name, dropped)
            books.store.commit(*_parking_again(books, name), again)
            dropped -= {name}


def _parking_again(books: Books, name: str) -> Iterator[Write]:
    """Yield the writes that park a dropped event again.

    Nothing is yielded if there is no such dropped event, because a restore
    of the table has lost it or has parked it already.
    """
    if item := books.store.get("events", (DROPPED, name)):
        record = {
            member: item[member]
            for member in ("fact", "kind", "why", "parked_at", "tries")
        }
        next_try = epoch(books.clock()) + RETRY_FIRST_SECONDS
        yield Write(
            "events", (PARKED, name), set={**record, "next_try": next_try}
        )
        yield Write("events", (DROPPED, name), delete=True)
