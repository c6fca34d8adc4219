"""Parks verified events that cannot be settled yet, so that none is lost.

A message in the queue keeps a parked event safe, and a record in a table makes
it visible. Events that came ahead of their payment, or whose payment we do not
know yet, are retried on a schedule. An event that does not match our record,
or money received twice, waits for an operator (``topup parked``).
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import assert_never

from billing.books import Books
from billing.clock import epoch, stamp
from billing.errors import ConditionFailedError, Item
from billing.facts import (
    DisputeFact,
    Fact,
    RefundsFact,
    to_item,
)
from billing.parked.records import DROPPED, PARKED, name_of
from billing.parked.retries import RETRY_FIRST_SECONDS
from billing.payments import references
from billing.payments.decision import Park, ParkKind
from billing.storage.writes import Write, creates, equals


def is_dropped(books: Books, fact: Fact) -> bool:
    """Return whether an operator decided to ignore this Stripe event.

    Such an event is dropped: it is not kept for a retry, and no operator is
    notified of it. Dropping one event about a purchase also drops others that
    report the same about it.
    """
    return books.store.get("events", (DROPPED, name_of(fact))) is not None


def park(books: Books, fact: Fact, park: Park) -> bool:
    """Keep a Stripe event that cannot be settled yet, and return True.

    The event goes into the SQS queue, and a record of it into a table.
    ``park`` has the reason. Nothing is written for an event that an operator
    has dropped, and the result is True too. Returns False if the event's
    payment was credited concurrently, so that the caller must decide again.
    """
    if is_dropped(books, fact):
        return True
    books.outbox.keep(fact)
    record = _record(books, fact, park)
    writes = [
        creates("events", (PARKED, name_of(fact)), record),
        *_waiting(fact, park),
    ]
    try:
        books.store.commit(*writes)
    except ConditionFailedError as refused:
        if 1 in refused.old:
            return False
        _update_reason(books, fact, record, refused.old[0])
    return True


def _record(books: Books, fact: Fact, park: Park) -> Item:
    now = books.clock()
    return {
        "fact": to_item(fact),
        "kind": park.kind,
        "why": park.why,
        "parked_at": stamp(now),
        "tries": 0,
        "next_try": 0
        if _needs_operator(park.kind)
        else epoch(now) + RETRY_FIRST_SECONDS,
    }


def _needs_operator(kind: ParkKind) -> bool:
    match kind:
        case "mismatch" | "paid_twice":
            return True
        case "ahead" | "unknown_payment" | "other_session":
            return False
        case _:
            assert_never(kind)


def _update_reason(
    books: Books, fact: Fact, record: Item, kept: Item | None
) -> None:
    """Write the new reason and retry time of an event that is parked already.

    A parked event is one that could not be settled yet. ``record`` is its new
    record, and ``kept`` the stored one. Nothing is written if ``kept`` is None
    or has the same kind of reason. Without this, an event that now needs an
    operator would keep being retried silently.
    """
    if kept is None or kept["kind"] == record["kind"]:
        return
    changed = {name: record[name] for name in ("kind", "why", "next_try")}
    key, same = (PARKED, name_of(fact)), equals("kind", kept["kind"])
    with suppress(
        ConditionFailedError
    ):  # settled, dropped or changed by a concurrent request
        books.store.commit(Write("events", key, set=changed, must=(same,)))


def _waiting(fact: Fact, park: Park) -> Iterator[Write]:
    """Yield the write that makes a refund or dispute wait for its payment.

    An event that came before its payment is listed in a row of its payment
    intent. The transaction that credits the payment reads that row, so it
    cannot miss the event. Nothing is yielded for any other event, or without a
    payment intent.
    """
    if park.kind != "ahead" or not isinstance(fact, RefundsFact | DisputeFact):
        return
    if fact.payment_intent:
        yield references.waits(fact.payment_intent, fact.fact_id)
