"""Parks verified events that cannot be settled yet, so that none is lost.

A message in the queue keeps them safe, a record here makes them visible. Events that came ahead of
their payment, or whose payment we do not know yet, are retried on a schedule. A mismatch, or money
received twice, waits for an operator (``topup parked``). Several events that say the same of one
purchase are one record, and one decision.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, assert_never

from billing.books import Books
from billing.clock import epoch, stamp, to_epoch
from billing.errors import ConditionFailedError, Item
from billing.facts import (
    DisputeFact,
    Fact,
    RefundsFact,
    SessionFact,
    from_item,
    to_item,
)
from billing.payments import references
from billing.payments.payment import Park, ParkKind
from billing.storage.writes import Write, creates, equals

PARKED: Final = "parked"
DROPPED: Final = "dropped"
RETRY_FIRST_SECONDS: Final = 30
"""Recovery runs each minute, so the first retry comes within two minutes.

That retry finds out whether a refund or dispute is ours.
"""
RETRY_LAST_SECONDS: Final = 6 * 3600
"""Stripe itself retries for three days: https://docs.stripe.com/webhooks#automatic-retries"""


@dataclass(frozen=True, slots=True)
class Parked:
    """One parked event. ``next_try`` is in epoch seconds, or 0 if it waits for an operator."""

    fact: Fact
    kind: ParkKind
    why: str
    parked_at: str
    tries: int
    next_try: int

    @classmethod
    def from_item(cls, item: Item) -> "Parked":
        """Return the parked event in a stored item."""
        return cls(
            from_item(item["fact"]),
            item["kind"],
            item["why"],
            item["parked_at"],
            item["tries"],
            item["next_try"],
        )

    @property
    def name(self) -> str:
        """Return the key of the parked event's record."""
        return name_of(self.fact)

    @property
    def parked_epoch(self) -> int:
        """Return when the event was parked, in epoch seconds."""
        return to_epoch(self.parked_at)

    @property
    def waits_for_operator(self) -> bool:
        """Return whether the event waits for an operator.

        It is then not retried on the schedule.
        """
        return not self.next_try

    def as_answer(self) -> dict[str, Any]:
        """Return the parked event as plain data, for the operator's list."""
        return {
            "fact_id": self.fact.fact_id,
            "type": self.fact.type,
            "kind": self.kind,
            "why": self.why,
            "parked_at": self.parked_at,
            "tries": self.tries,
        }


def name_of(fact: Fact) -> str:
    """Return the key of an event's record: one for everything that says the same of one purchase.

    Two events may tell of one purchase, or an event and Stripe's API.
    """
    return (
        f"{fact.funding_id}:{fact.kind}"
        if isinstance(fact, SessionFact)
        else fact.fact_id
    )


def is_dropped(books: Books, fact: Fact) -> bool:
    """Return whether an operator has dropped the event or its purchase.

    It is not reported again.
    """
    return books.store.get("events", (DROPPED, name_of(fact))) is not None


def park(books: Books, fact: Fact, park: Park) -> bool:
    """Keep the event in the queue and as a record.

    Returns False if its payment has arrived concurrently. The caller must then decide again.
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
    """Already parked, but the reason may have changed.

    Update it, or an event that now needs an operator would keep being retried silently.
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
    """A reversal ahead of its payment also waits where that payment's transaction looks."""
    if park.kind != "ahead" or not isinstance(fact, RefundsFact | DisputeFact):
        return
    if fact.payment_intent:
        yield references.waits(fact.payment_intent, fact.fact_id)


def find(books: Books, name: str) -> Parked | None:
    """Return the parked event with this record name, or None."""
    item = books.store.get("events", (PARKED, name))
    return Parked.from_item(item) if item else None


def all_parked(books: Books) -> Iterator[Parked]:
    """Yield every parked event, page by page."""
    return (
        Parked.from_item(item) for item in books.store.pages("events", PARKED)
    )


def all_dropped(books: Books) -> Iterator[Item]:
    """Yield the events that operators dropped, and those dropped with a purchase, as plain data."""
    names = ("type", "kind", "why", "parked_at", "dropped_at", "reason")
    for item in books.store.pages("events", DROPPED):
        shown = {name: item[name] for name in names}
        yield {
            "fact_id": item["fact"]["fact_id"],
            **shown,
            "fact": item["fact"],
        }


def resolve(books: Books, parked: Parked) -> None:
    """Delete the record of a settled event. The payment keeps the mark that it was settled."""
    books.store.commit(Write("events", (PARKED, parked.name), delete=True))


def postpone(books: Books, parked: Parked) -> bool:
    """Set the time of the retry after this one. Each pause is twice as long as the one before.

    It is called before the retry, in case the retry kills the process. Returns False if the record
    has changed concurrently.
    """
    pause = min(
        RETRY_FIRST_SECONDS * 2 ** (parked.tries + 1), RETRY_LAST_SECONDS
    )
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


def drop(books: Books, parked: Parked, reason: str) -> None:
    """Move a parked event to the dropped ones, because an operator decided not to settle it."""
    books.store.commit(*_dropping(books, parked, reason))


def drop_with_purchase(
    books: Books, parked: Parked, funding_id: str, payment_intent: str
) -> bool:
    """Drop a refund or dispute of a purchase that an operator dropped.

    Returns False if the purchase is credited by now. The purchase's reference row shows the drop.
    If the purchase is credited after all, ``bring_back`` parks the event again first.
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
    """Park again, one by one, the events that were dropped with a purchase.

    The purchase cannot be credited while any of them is left.
    """
    with suppress(
        ConditionFailedError
    ):  # a concurrent request brings them back: look again
        for name in sorted(dropped):
            again = references.waits_again(payment_intent, name, dropped)
            books.store.commit(*_parking_again(books, name), again)
            dropped -= {name}


def _parking_again(books: Books, name: str) -> Iterator[Write]:
    """No write where a restore has left it parked, or lost it."""
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
