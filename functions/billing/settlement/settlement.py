"""Settles events: applies each to a payment, the quota and the ledger, in one transaction.

Webhook, confirm, recovery, reconciliation and the operator's replay all call ``apply``. The payment
itself guards against a second credit, for ever. Neither the event's id nor a record that expires
does.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from billing.books import Books
from billing.clock import stamp
from billing.errors import (
    ConditionFailedError,
    OutcomeUnknownError,
    RetryableError,
)
from billing.facts import Fact, SessionFact
from billing.parked import dropping, parking, records, retries
from billing.payments.deciding import decide
from billing.payments.decision import Already, Change, Park
from billing.payments.ownership import why_ignored
from billing.payments.payment import Payment
from billing.settlement import basis as bases
from billing.settlement import restores, transaction
from billing.settlement.basis import Assumed, Basis, Loaded
from billing.settlement.transaction import PAYMENT_PLACE

Status = Literal["settled", "recorded", "duplicate", "ignored", "parked"]
WAITING_AT_ONCE_MAX: Final = 20
"""How many waiting events are settled right after their payment, by some six calls each: well
within a request's deadline."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of settling an event.

    ``units`` is the movement (signed). ``payment`` is the payment as it is now, or None without
    one.
    """

    status: Status
    payment: Payment | None = None
    units: int = 0
    why: str = ""


def apply(books: Books, fact: Fact) -> Outcome:
    """Settle one event, once. Idempotent: a repeat is a duplicate.

    Optimistic: write first, read only if DynamoDB refuses. The first attempt assumes that the
    payment is as the event claims, and the transaction's conditions check it. When DynamoDB
    refuses, nothing was written: read what is stored, decide again on that, and write on condition
    that it has not changed since. So of two events in a race one is written, and the other decides
    again. Repeat until the deadline.

    Raises OutcomeUnknownError when the answer is lost or the deadline passes: the caller must ask
    for redelivery.
    """
    basis = bases.begin(books, fact)
    for _ in books.store.deadline.attempts():
        decision = decide(basis.payment, fact, stamp(books.clock()))
        match decision:
            case Change():
                done = _write(
                    books, fact, basis, _unless_booked(basis, decision)
                )
            case Already():
                done = Outcome(
                    "duplicate" if decision.duplicate else "recorded",
                    basis.payment,
                )
            case Park():
                done = _ignore_or_park(books, fact, basis, decision)
            case _:
                assert_never(decision)
        if isinstance(done, Outcome):
            return done
        basis = done
    message = f"{fact.fact_id} met other changes until the deadline"
    raise OutcomeUnknownError(message)


def _unless_booked(basis: Basis, change: Change) -> Change:
    """Move no units for a purchase that the ledger has already."""
    if isinstance(basis, Loaded) and basis.is_funded:
        return replace(change, units=0, entry="")
    return change


def _write(
    books: Books, fact: Fact, basis: Basis, change: Change
) -> Outcome | Loaded:
    """Write the change. Returns what to decide on next if DynamoDB refuses."""
    try:
        books.store.commit(*transaction.writes(books, fact, basis, change))
    except ConditionFailedError as refused:
        return _read_after_refusal(books, fact, basis, refused)
    _settle_waiting(books, transaction.waiting_events(basis))
    return Outcome(
        "settled" if change.units else "recorded", change.payment, change.units
    )


def _read_after_refusal(
    books: Books, fact: Fact, basis: Basis, refused: ConditionFailedError
) -> Loaded:
    """Read why the write was refused.

    A refusal returns the item that it met. If the stored payment alone shows that there is nothing
    to write, no further read is needed. A purchase is refused while an event is dropped with it:
    bring that back first. If the payment's own condition held, the ledger may have been ahead of
    it, as after a restore.
    """
    payment_was_refused = PAYMENT_PLACE in refused.old
    if isinstance(basis, Assumed) and payment_was_refused:
        item = refused.old[PAYMENT_PLACE]
        stored = Payment.from_item(item) if item else None
        if not isinstance(decide(stored, fact, ""), Change):
            return Loaded(stored, stored)
    loaded = bases.load(books, fact)
    if (
        loaded.reference.dropped
        and isinstance(fact, SessionFact)
        and fact.payment_intent
    ):
        dropping.bring_back(
            books, fact.payment_intent, loaded.reference.dropped
        )
    return (
        loaded
        if payment_was_refused
        else restores.catch_up(books, fact, loaded)
    )


def _ignore_or_park(
    books: Books, fact: Fact, basis: Basis, park: Park
) -> Outcome | Loaded:
    """Keep an event that cannot be applied now, unless it is not ours.

    Returns what to decide on next if what it waited for came concurrently.
    """
    linked = isinstance(basis, Loaded) and basis.linked
    if basis.payment is None and (
        why := why_ignored(books, fact, linked=linked)
    ):
        return Outcome("ignored", why=why)
    if linked and park.kind == "ahead":
        why = f"{fact.type} refers to a payment of ours that is not in our records"
        park = Park("unknown_payment", why)
    if parking.park(books, fact, park):
        return Outcome("parked", basis.payment, why=park.why)
    return bases.load(books, fact)


def _settle_waiting(books: Books, waiting: frozenset[str]) -> None:
    """Settle events that came ahead of this payment. Recovery settles those left."""
    # The payment itself is settled: trouble here must not make its own event look unsettled.
    with suppress(RetryableError):
        for name in sorted(waiting)[:WAITING_AT_ONCE_MAX]:
            if record := records.find(books, name):
                retry(books, record)


def retry(books: Books, record: records.Parked) -> Outcome:
    """Settle a parked event again. Deletes its record once it is settled."""
    outcome = apply(books, record.fact)
    if outcome.status != "parked":
        retries.resolve(books, record)
    return outcome
