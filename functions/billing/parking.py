"""Parked facts: verified, not applicable now, never forgotten. A message keeps them safe, a record makes them visible.

``ahead`` facts and payments we do not know yet are tried again on a schedule; a mismatch, or money received twice, waits for a
person (``topup parked``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from billing.books import Books
from billing.errors import Item, RefusedError
from billing.facts import DisputeFact, Fact, RefundsFact, from_item, to_item
from billing.identity import reference_key
from billing.payments import Park, ParkKind
from billing.times import epoch, stamp, to_epoch
from billing.writes import Write, absent, creates, equals

PARKED: Final = "parked"
DROPPED: Final = "dropped"
FOR_A_PERSON: Final = ("mismatch", "paid_twice")
RETRY_FIRST_SECONDS: Final = 60
RETRY_LAST_SECONDS: Final = 6 * 3600
"""Stripe itself retries for three days: https://docs.stripe.com/webhooks#automatic-retries"""


@dataclass(frozen=True, slots=True)
class Parked:
    """One record. ``next_try`` is an epoch second, 0 for one that waits for a person."""

    fact: Fact
    kind: ParkKind
    why: str
    parked_at: str
    tries: int
    next_try: int

    @classmethod
    def from_item(cls, item: Item) -> "Parked":
        """As stored."""
        return cls(from_item(item["fact"]), item["kind"], item["why"], item["parked_at"], item["tries"], item["next_try"])

    @property
    def parked_epoch(self) -> int:
        """When it was parked, epoch seconds."""
        return to_epoch(self.parked_at)

    def as_answer(self) -> dict[str, Any]:
        """For the operator's list."""
        return {
            "fact_id": self.fact.fact_id,
            "type": self.fact.type,
            "kind": self.kind,
            "why": self.why,
            "parked_at": self.parked_at,
            "tries": self.tries,
        }


def park(books: Books, fact: Fact, park: Park) -> bool:
    """Keep the fact. False: what it waited for has come meanwhile, decide again."""
    if books.store.get("events", (DROPPED, fact.fact_id)) is not None:
        return True  # a person has seen it: a redelivery must not bring it back
    books.outbox.keep(fact)
    now = books.clock()
    record = {
        "fact": to_item(fact),
        "kind": park.kind,
        "why": park.why,
        "parked_at": stamp(now),
        "tries": 0,
        "next_try": 0 if park.kind in FOR_A_PERSON else epoch(now) + RETRY_FIRST_SECONDS,
    }
    writes = [creates("events", (PARKED, fact.fact_id), record), *_waiting(fact, park)]
    try:
        books.store.commit(*writes)
    except RefusedError as refused:
        return 1 not in refused.old  # only the record was there already: it is parked
    return True


def _waiting(fact: Fact, park: Park) -> Iterator[Write]:
    """A fact ahead of its payment leaves word where that payment will look in its own transaction."""
    if park.kind == "ahead" and isinstance(fact, RefundsFact | DisputeFact) and fact.payment_intent:
        key = (reference_key(fact.payment_intent), "reference")
        yield Write("payments", key, add={"waiting": frozenset({fact.fact_id})}, must=(absent("payment_id"),))


def find(books: Books, fact_id: str) -> Parked | None:
    """The record, or None."""
    item = books.store.get("events", (PARKED, fact_id))
    return Parked.from_item(item) if item else None


def all_parked(books: Books) -> Iterator[Parked]:
    """Every record, page by page."""
    return (Parked.from_item(item) for item in books.store.pages("events", PARKED))


def resolve(books: Books, parked: Parked) -> None:
    """The fact is settled: its mark stands with its payment, the record may go."""
    books.store.commit(Write("events", (PARKED, parked.fact.fact_id), delete=True))


def postpone(books: Books, parked: Parked) -> None:
    """Tried in vain: wait twice as long as before."""
    pause = min(RETRY_FIRST_SECONDS * 2 ** min(parked.tries + 1, 20), RETRY_LAST_SECONDS)
    next_try = epoch(books.clock() + timedelta(seconds=pause)) if parked.next_try else 0
    write = Write(
        "events",
        (PARKED, parked.fact.fact_id),
        set={"next_try": next_try, "tries": parked.tries + 1},
        must=(equals("tries", parked.tries),),
    )
    try:
        books.store.commit(write)
    except RefusedError:
        return  # somebody else tried it at the same time


def drop(books: Books, parked: Parked, reason: str) -> None:
    """A person decided that it is not to be settled: the record moves to the dropped ones, with the reason."""
    item = {**parked.as_answer(), "fact": to_item(parked.fact), "reason": reason, "dropped_at": stamp(books.clock())}
    fact_id = item.pop("fact_id")
    books.store.commit(
        Write("events", (PARKED, fact_id), delete=True, must=(equals("kind", parked.kind),)),
        Write("events", (DROPPED, fact_id), set=item),
    )
