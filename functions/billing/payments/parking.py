"""Parked facts: verified, not applicable now, never forgotten.

A message keeps them safe, a record makes them visible.

``ahead`` facts and payments we do not know yet are tried again on a schedule; a mismatch, or money
received twice, waits for a person (``topup parked``). What several facts say of one session is one
record, and one decision.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from billing.books import Books
from billing.clock import epoch, stamp, to_epoch
from billing.errors import ConditionFailedError, Item
from billing.facts import DisputeFact, Fact, RefundsFact, SessionFact, from_item, to_item
from billing.payments.payment import Park, ParkKind
from billing.storage.keys import REFERENCE, reference_key
from billing.storage.writes import Write, absent, creates, equals

PARKED: Final = "parked"
DROPPED: Final = "dropped"
FOR_A_PERSON: Final = ("mismatch", "paid_twice")
RETRY_FIRST_SECONDS: Final = 30
"""A refund or dispute that is not ours is found out by the first retry.

Recovery runs each minute, so that is within two minutes.
"""
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
        """What it is found by."""
        return name_of(self.fact)

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


def name_of(fact: Fact) -> str:
    """A session is told by two events, or by an event and by Stripe's API: one name for what they say."""
    return f"{fact.session_id}:{fact.kind}" if isinstance(fact, SessionFact) else fact.fact_id


def is_dropped(books: Books, fact: Fact) -> bool:
    """A person has seen it, or its purchase: nobody is to be told of it again."""
    return books.store.get("events", (DROPPED, name_of(fact))) is not None


def park(books: Books, fact: Fact, park: Park) -> bool:
    """Keep the fact. False: what it waited for has come meanwhile, decide again."""
    if is_dropped(books, fact):
        return True
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
    writes = [creates("events", (PARKED, name_of(fact)), record), *_waiting(fact, park)]
    try:
        books.store.commit(*writes)
    except ConditionFailedError as refused:
        if 1 in refused.old:
            return False
        _wait_for(books, fact, record, refused.old[0])
    return True


def _wait_for(books: Books, fact: Fact, record: Item, kept: Item | None) -> None:
    """It is parked already, but what it waits for may be another thing now: a person, whom nobody would have told."""
    if kept is None or kept["kind"] == record["kind"]:
        return
    changed = {name: record[name] for name in ("kind", "why", "next_try")}
    with suppress(ConditionFailedError):  # settled, dropped or changed by another hand
        books.store.commit(
            Write(
                "events", (PARKED, name_of(fact)), set=changed, must=(equals("kind", kept["kind"]),)
            )
        )


def _waiting(fact: Fact, park: Park) -> Iterator[Write]:
    """A fact ahead of its payment leaves word where that payment will look in its own transaction."""
    if park.kind == "ahead" and isinstance(fact, RefundsFact | DisputeFact) and fact.payment_intent:
        key = (reference_key(fact.payment_intent), REFERENCE)
        yield Write(
            "payments",
            key,
            add={"waiting": frozenset({fact.fact_id})},
            must=(absent("payment_id"),),
        )


def find(books: Books, name: str) -> Parked | None:
    """The record of that name, or None."""
    item = books.store.get("events", (PARKED, name))
    return Parked.from_item(item) if item else None


def all_parked(books: Books) -> Iterator[Parked]:
    """Every record, page by page."""
    return (Parked.from_item(item) for item in books.store.pages("events", PARKED))


def all_dropped(books: Books) -> Iterator[Item]:
    """What persons have decided not to settle, and what went with it, as an operator's list shows it."""
    for item in books.store.pages("events", DROPPED):
        shown = {
            name: item[name]
            for name in ("type", "kind", "why", "parked_at", "dropped_at", "reason")
        }
        yield {"fact_id": item["fact"]["fact_id"], **shown, "fact": item["fact"]}


def resolve(books: Books, parked: Parked) -> None:
    """The fact is settled: its mark stands with its payment, the record may go."""
    books.store.commit(Write("events", (PARKED, parked.name), delete=True))


def postpone(books: Books, parked: Parked) -> bool:
    """Before it is tried: should that be in vain, it waits twice as long as before.

    False: the record is not as it was.
    """
    pause = min(RETRY_FIRST_SECONDS * 2 ** min(parked.tries + 1, 20), RETRY_LAST_SECONDS)
    next_try = epoch(books.clock() + timedelta(seconds=pause)) if parked.next_try else 0
    write = Write(
        "events",
        (PARKED, parked.name),
        set={"next_try": next_try, "tries": parked.tries + 1},
        must=(equals("tries", parked.tries),),
    )
    try:
        books.store.commit(write)
    except ConditionFailedError:
        return False
    return True


def drop(books: Books, parked: Parked, reason: str) -> None:
    """A person decided that it is not to be settled: the record moves to the dropped ones, with the reason."""
    books.store.commit(*_dropping(books, parked, reason))


def drop_with_purchase(books: Books, parked: Parked, session_id: str, payment_intent: str) -> bool:
    """A person dropped the purchase whose money this gives back: it will wait in vain, and goes too. False: that is credited by now.

    It goes with word in the row that a credit cannot pass over: should the purchase be credited after all, ``bring_back`` comes first.
    """
    gone = frozenset({parked.name})
    row = (reference_key(payment_intent), REFERENCE)
    word = Write(
        "payments", row, add={"waiting": gone, "aside": gone}, must=(absent("payment_id"),)
    )
    try:
        books.store.commit(
            *_dropping(books, parked, f"{session_id}, whose money it gives back, was dropped"), word
        )
    except ConditionFailedError:
        return False
    return True


def _dropping(books: Books, parked: Parked, reason: str) -> tuple[Write, Write]:
    item = {
        **parked.as_answer(),
        "fact": to_item(parked.fact),
        "reason": reason,
        "dropped_at": stamp(books.clock()),
    }
    return (
        Write("events", (PARKED, parked.name), delete=True, must=(equals("kind", parked.kind),)),
        Write(
            "events",
            (DROPPED, parked.name),
            set={name: value for name, value in item.items() if name != "fact_id"},
        ),
    )


def bring_back(books: Books, payment_intent: str, aside: frozenset[str]) -> None:
    """Before a purchase is credited, what was dropped with it waits for it again, one by one: a credit is refused while any is left."""
    row = (reference_key(payment_intent), REFERENCE)
    with suppress(ConditionFailedError):  # another hand is at it: look again
        while aside:
            name, *rest = sorted(aside)
            left = {"aside": frozenset(rest)} if rest else {}
            word = Write(
                "payments",
                row,
                set=left,
                remove=() if rest else ("aside",),
                must=(equals("aside", aside),),
            )
            books.store.commit(*_parking_again(books, name), word)
            aside = frozenset(rest)


def _parking_again(books: Books, name: str) -> Iterator[Write]:
    """Nothing, where a restore has left it parked, or lost it."""
    if item := books.store.get("events", (DROPPED, name)):
        record = {member: item[member] for member in ("fact", "kind", "why", "parked_at", "tries")}
        yield Write(
            "events",
            (PARKED, name),
            set={**record, "next_try": epoch(books.clock()) + RETRY_FIRST_SECONDS},
        )
        yield Write("events", (DROPPED, name), delete=True)
