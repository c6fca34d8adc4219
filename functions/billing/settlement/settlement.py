"""Settles events: changes the payment, quota and ledger in one transaction.

Webhook, confirm, recovery, reconciliation and the operator's replay all call
``apply``. The stored payment prevents a second credit, for ever: it does not
depend on the event's id or on a record that expires.
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
"""How many waiting events are settled right after their payment. Each takes
about six calls, so all fit well within a request's deadline.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of settling an event.

    ``units`` are the units that were moved, negative for a clawback.
    ``payment`` is the payment after the event, or None if there is none.
    """

    status: Status
    payment: Payment | None = None
    units: int = 0
    why: str = ""


def apply(books: Books, fact: Fact) -> Outcome:
    """Book what one event of Stripe's says, and return the outcome.

    An event that was booked before changes nothing. One that cannot be
    booked yet is parked (stored for a retry), and one that is not ours is
    ignored.

    Optimistic: the first attempt assumes that the payment is as the
    event's metadata says, and the transaction's conditions check that. If
    DynamoDB refuses, nothing was written: read the stored rows, decide
    again, and write on the condition that they have not changed. So of two
    events in a race one is written, and the other is decided again. This
    is repeated until the deadline.

    Raises OutcomeUnknownError if the answer to a write is lost or the
    deadline passes. The caller must then ask Stripe to deliver the event
    again.
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
    """Return ``change``, without its units if they were credited before.

    ``change`` says what an event does to the payment and the balance. The
    ledger can show the credit although the payment does not, after a restore
    from a backup. ``basis`` has what was read of both.
    """
    if isinstance(basis, Loaded) and basis.is_funded:
        return replace(change, units=0, entry="")
    return change


def _write(
    books: Books, fact: Fact, basis: Basis, change: Change
) -> Outcome | Loaded:
    """Write what the event changes in our tables, and return the outcome.

    ``change`` was decided on the rows in ``basis``. If DynamoDB refuses the
    write, because the stored rows differ, return the rows to decide on again.
    """
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
    """Return the rows to decide on again after DynamoDB refused the write.

    No read is needed if the stored payment, which DynamoDB returns with its
    refusal, shows that there is nothing to write. Otherwise the rows are read,
    and what may have caused the refusal is put right:

    - Refunds or disputes that an operator dropped together with this purchase
      are parked again, because they must be settled after it.
    - If the condition on the payment held, the payment may be older than the
      ledger, as after a restore. It is then corrected from the ledger.
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
    """Park an event that cannot be settled now, or ignore it if not ours.

    ``park`` has the reason, and ``basis`` what was read. Returns the outcome.
    If the event's payment was credited concurrently, returns the rows to
    decide on again.
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
    """Settle the refunds and disputes that came before their payment.

    ``waiting`` are the keys of their records. At most WAITING_AT_ONCE_MAX are
    settled here. The others are settled later, by the Lambda function that
    retries such events on a schedule.
    """
    # The payment itself is settled: trouble here must not make its own event look unsettled.
    with suppress(RetryableError):
        for name in sorted(waiting)[:WAITING_AT_ONCE_MAX]:
            if record := records.find(books, name):
                retry(books, record)


def retry(books: Books, record: records.Parked) -> Outcome:
    """Try again to book a parked event, and return the outcome.

    A parked event is one from Stripe that could not be booked before. Its
    record is deleted, unless it still cannot be booked.
    """
    outcome = apply(books, record.fact)
    if outcome.status != "parked":
        retries.resolve(books, record)
    return outcome
