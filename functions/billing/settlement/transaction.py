"""Builds the one transaction that writes the effect of a Stripe event.

It writes the payment, the balance, the ledger entry, and rows that lead from
Stripe's ids to the payment. One more row serves to recognise a repeat of the
event.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from billing.books import Books
from billing.clock import stamp
from billing.facts import (
    DeclinedFact,
    DisputeFact,
    Fact,
    RefundsFact,
    SessionFact,
)
from billing.notices.notice import tell
from billing.payments import references
from billing.payments.decision import Change
from billing.payments.payment import Payment
from billing.quota import ledger, lot_changes
from billing.quota.ledger import Entry, EntryType
from billing.quota.movement import Movement
from billing.settlement import automatic
from billing.settlement.basis import Basis, Loaded
from billing.settlement.moved import (
    balance_of,
    counted_as_expired,
    lotted_by,
    movement_of,
)
from billing.settlement.payment_row import payment_write
from billing.settlement.telling import told_by
from billing.storage.keys import user_key
from billing.storage.writes import (
    Write,
)

PAYMENT_PLACE = 0
"""The payment's write comes first. If DynamoDB refuses the transaction, the
item that it returns for this place shows why.
"""


def writes(
    books: Books, fact: Fact, basis: Basis, change: Change
) -> Iterator[Write]:
    """Yield all writes of the one transaction that settles an event.

    The transaction is atomic: DynamoDB makes all of them or none. Here, a reversal is a refund or
    dispute, and a lot is the units of one purchase or grant. The first column is the write's place
    in the transaction; the places after 0 depend on which writes are needed::

        # table     partition / range key       writes                 on condition that
        0 payments  user#alice / pay_1          the payment's state    see payment_write
        . quotas    alice / quota               remaining, debt,       enough remains, or debt and
                                                total                  remaining are as read
        . quotas    alice / lot#...             the lot                there is none; other lots as
                                                                       they were read
        . ledger    alice / funded:cs_1         the entry              there is no such entry
        . ledger    alice / adjusted:pay_1:n    the write-off          there is no such entry
        . payments  user#alice / cs_copy        points to pay_1
        . payments  ref#pi_1 / reference        points to pay_1        the same reversals wait for
                                                                       pay_1, and none is dropped
        . payments  ref#ch_1 / reference        points to pay_1
        . quotas    alice / top_up              switched off
        . notices   alice / 000000000007#evt_2  event to the seller    the account's last one is 6
        . events    pay_1 / evt_1               that evt_1 is settled

    The balance is written only if units move or an event goes to the seller, and the ledger only if
    units move. The row of ``cs_copy`` is written if it was paid and is Stripe's copy of an expired
    session, the row of the intent for a paid session, and that of the charge for a reversal. A
    dispute or full refund of an automatic payment switches automatic top-ups off.
    """
    moment = books.clock()
    now = stamp(moment)
    counted = counted_as_expired(basis, change)
    units = change.units + counted
    movement = movement_of(books, basis, change, units)
    payment = replace(
        change.payment,
        units_written_off=change.payment.units_written_off
        + movement.written_off,
        units_expired=change.payment.units_expired + counted,
    )
    lotted = lotted_by(
        basis, replace(change, payment=payment), movement, moment
    )
    payment = lotted.payment
    yield payment_write(fact, basis, payment)
    moved = _Moved(change, units, counted, movement, lotted.change)
    account = _account_write(payment, moved, now)
    comes_in = change.units > 0
    yield from _tell(books, basis, payment, account, moment, comes_in=comes_in)
    yield from moved.lots.rows
    yield from _entry_writes(payment, moved, now)
    yield from _reference_writes(fact, basis, payment)
    yield from automatic.switch_off(basis.payment, payment)
    mark = {
        "type": fact.type,
        "units": units,
        "created": fact.created,
        "booked_at": now,
    }
    yield Write("events", (payment.payment_id, fact.fact_id), set=mark)


@dataclass(frozen=True, slots=True)
class _Moved:
    """Holds how many units an event moves, and the changes that move them."""

    change: Change
    units: int
    """Negative for a clawback. Units that had expired are not included."""
    counted: int
    movement: Movement
    lots: lot_changes.Change


def _tell(
    books: Books,
    basis: Basis,
    payment: Payment,
    account: Write | None,
    moment: datetime,
    *,
    comes_in: bool,
) -> Iterator[Write]:
    """Yield the balance's write, and those that store events to the seller.

    ``account`` is the balance's write before those events are counted in it,
    or None if the balance does not change. ``comes_in`` is true if
    units are added.
    """
    return tell(
        books,
        payment.user_id,
        balance_of(basis),
        account,
        now=moment,
        notices=(*told_by(basis, payment), *automatic.told_by(basis, payment)),
        comes_in=comes_in,
        may_open=not automatic.is_taken_back(basis.payment, payment),
    )


def _entry_writes(payment: Payment, moved: _Moved, now: str) -> Iterator[Write]:
    change, movement = moved.change, moved.movement
    if not change.entry:
        return
    cause = ledger.reversal_id(payment)
    if change.entry == "funded":
        cause = ledger.funded_id(payment.funding_id)
    entry = _entry(payment, cause, change.entry, moved.units, now)
    yield replace(entry, expired=moved.counted).write()
    if movement.written_off:
        cause = ledger.write_off_id(payment)
        yield _entry(
            payment, cause, "adjusted", movement.written_off, now
        ).write()


def _account_write(payment: Payment, moved: _Moved, now: str) -> Write | None:
    if not moved.change.entry:
        return None
    movement = moved.movement
    add = {**movement.add, "total": moved.units + movement.written_off}
    return moved.lots.account(payment.user_id, now, add, movement.must)


def _entry(
    payment: Payment, cause: str, kind: EntryType, units: int, now: str
) -> Entry:
    return Entry(
        payment.user_id, cause, kind, units, "payment", payment.funding_id, now
    )


def _reference_writes(
    fact: Fact, basis: Basis, payment: Payment
) -> Iterator[Write]:
    """Yield the writes of rows that lead from Stripe's ids to the payment.

    One leads from a session that Stripe copied from the payment's expired one,
    one from the payment intent of a paid session, and one from the charge of a
    refund or dispute. Only those that this event needs are written.
    """
    before = basis.payment.funding_id if basis.payment else ""
    if before not in ("", payment.funding_id):
        key = (user_key(payment.user_id), payment.funding_id)
        yield Write("payments", key, set={"payment_id": payment.payment_id})
    match fact:
        case SessionFact():
            if fact.kind == "paid" and fact.payment_intent:
                waiting = waiting_events(basis)
                yield references.leads_to(payment, fact.payment_intent, waiting)
        case RefundsFact() | DisputeFact():
            if fact.charge and fact.payment_intent:
                yield references.charge_leads_to(payment, fact.charge)
        case DeclinedFact():
            pass
        case _:
            assert_never(fact)


def waiting_events(basis: Basis) -> frozenset[str]:
    """Return the table keys of the parked events that wait for this payment.

    They are refunds and disputes that came before it. The row of the payment
    intent lists them. The result is empty if that row was not read.
    """
    return basis.reference.waiting if isinstance(basis, Loaded) else frozenset()
