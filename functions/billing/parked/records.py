"""Reads parked events, as they are stored and as operators see them.

Several events that say the same of one purchase are kept as one record, so an
operator decides on them once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from billing.books import Books
from billing.clock import to_epoch
from billing.errors import Item
from billing.facts import (
    Fact,
    SessionFact,
    from_item,
)
from billing.payments.decision import ParkKind

PARKED: Final = "parked"
DROPPED: Final = "dropped"


@dataclass(frozen=True, slots=True)
class Parked:
    """An event from Stripe that is kept (parked) to be settled later.

    ``why`` and ``kind`` are the reason. ``next_try`` is when to retry, in
    epoch seconds, or 0 if the event needs an operator.
    """

    fact: Fact
    kind: ParkKind
    why: str
    parked_at: str
    tries: int
    next_try: int

    @classmethod
    def from_item(cls, item: Item) -> "Parked":
        """Return the parked event that a table row holds.

        A parked event is one from Stripe that could not be booked yet.
        """
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
        """Return the range key of the parked event's record."""
        return name_of(self.fact)

    @property
    def parked_epoch(self) -> int:
        """Return the time when the event was parked, in epoch seconds."""
        return to_epoch(self.parked_at)

    @property
    def waits_for_operator(self) -> bool:
        """Return whether the event needs an operator.

        That is so if no time is stored for its next try. Then no scheduled
        job retries it.
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
    """Return the range key of the record of a parked or dropped Stripe event.

    It is the same for all events that report the same thing about one
    purchase. What Stripe's API says in place of an event gets the same key.
    """
    return (
        f"{fact.funding_id}:{fact.kind}"
        if isinstance(fact, SessionFact)
        else fact.fact_id
    )


def find(books: Books, name: str) -> Parked | None:
    """Return the parked event whose record has this range key.

    A parked event is one from Stripe that could not be booked yet. Returns
    None if no such event is parked.
    """
    item = books.store.get("events", (PARKED, name))
    return Parked.from_item(item) if item else None


def all_parked(books: Books) -> Iterator[Parked]:
    """Yield every Stripe event that was kept because it cannot be settled yet.

    The table is read page by page, as the caller goes on.
    """
    return (
        Parked.from_item(item) for item in books.store.pages("events", PARKED)
    )


def all_dropped(books: Books) -> Iterator[Item]:
    """Yield the events that operators dropped (gave up), as plain data.

    That includes refunds and disputes that were dropped with their
    purchase.
    """
    names = ("type", "kind", "why", "parked_at", "dropped_at", "reason")
    for item in books.store.pages("events", DROPPED):
        shown = {name: item[name] for name in names}
        yield {
            "fact_id": item["fact"]["fact_id"],
            **shown,
            "fact": item["fact"],
        }
