"""Makes one attempt of an account's automatic charge, and stores the answer.

The charge's state is stored in the customer's agreement to automatic top-ups.
DynamoDB refuses each write of the agreement that is based on an old version.
"""

from collections.abc import Callable
from dataclasses import replace

from billing.agreements.agreement import Agreement
from billing.agreements.rows import change, read
from billing.books import Books
from billing.charging import state_machine
from billing.charging.answers import Word
from billing.charging.charge import Charge
from billing.charging.state_machine import Closed
from billing.clock import epoch
from billing.payments.payment import Payment, Phase
from billing.settlement import settlement
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write
from billing.top_up.closing import close, commit
from billing.top_up.job import Job
from billing.top_up.obstacles import is_called_off, obstacle


def begin(
    job: Job, agreement: Agreement, payment: Payment | None
) -> Agreement | None:
    """Store a new attempt of the open charge, then send its request to Stripe.

    Nothing is sent if the charge is no longer wanted or cannot be made: then
    it is closed. ``payment`` is the charge's row among the payments; without
    it (None) the charge cannot be made. Returns the agreement, or None if the
    caller must read it again and take another step.
    """
    charge, books = agreement.charge, job.books
    assert charge is not None  # noqa: S101 - the caller's own branch
    if payment is None:
        return close(job.books, agreement, None, "record_lost")
    now = epoch(books.clock())
    if is_called_off(books, agreement, payment):
        close(job.books, agreement, payment, "", is_called_off=True)
        return None
    if reason := obstacle(agreement, now):
        return close(job.books, agreement, payment, reason)
    if not charge.attempt and job.find_lost(
        agreement.user_id, agreement.customer
    ):
        return None
    tries = agreement.tries_of(agreement.card, now)
    begun = state_machine.begin(
        charge, agreement.card.id, agreement.customer, now
    )
    counted = {**agreement.tries, agreement.card.counted_as: (*tries, now)}
    after = replace(agreement, charge=begun, due=begun.due, tries=counted)
    payments_row = _payment_check(agreement.user_id, charge)
    books.store.commit(change(agreement, after), payments_row)
    return _record(job, after, job.asker.send(payment, begun, now))


def ask_again(
    job: Job,
    agreement: Agreement,
    payment: Payment | None,
    ask: Callable[[Payment, Charge, int], Word],
) -> Agreement | None:
    """Ask Stripe about an automatic charge again, and record the answer.

    Returns the agreement to automatic top-ups as it is then; its charge may be
    closed. ``ask`` makes the request: it repeats the charge's request, or only
    asks for the outcome. Before that, the time of the charge's next request is
    moved, so that no concurrent process asks too. If the charge's payment is
    not in our table (``payment`` None), Stripe is not asked, and the charge is
    closed as failed.
    """
    charge, now = agreement.charge, epoch(job.books.clock())
    assert charge is not None  # noqa: S101 - the caller's own branch
    if payment is None:
        return close(job.books, agreement, None, "record_lost")
    later = state_machine.put_off(charge, now)
    after = replace(agreement, charge=later, due=later.due)
    job.books.store.commit(change(agreement, after))
    return _record(job, after, ask(payment, later, now))


def _record(job: Job, asked: Agreement, word: Word) -> Agreement | None:
    """Store Stripe's answer in the payment, then in the state of the charge.

    ``word`` is the answer. ``asked`` is the customer's agreement to automatic
    top-ups, with the open charge, as it was when Stripe was asked. Returns the
    agreement as it is stored then. If the charge was closed or got a new
    attempt meanwhile, its state is not changed. If the process crashes between
    the two writes, the next run finds what is in the payment.
    """
    books, before = job.books, asked.charge
    assert before is not None  # noqa: S101 - the caller's own branch
    if word.error:
        job.report(before.payment_id, word.error)
    books.store.deadline.begin()  # Stripe may have used the time up
    if word.fact:
        settlement.apply(books, word.fact)
    agreement = read(books, asked.user_id)
    charge = agreement.charge
    if charge is None or _is_another(charge, before):
        return agreement
    answered = state_machine.after(charge, word.answer, epoch(books.clock()))
    payment = payment_of(books, asked.user_id, charge)
    if isinstance(answered, Closed):
        return close(job.books, agreement, payment, answered.reason)
    if answered == charge:
        return agreement
    after = replace(agreement, charge=answered, due=answered.due)
    commit(books, agreement, after, (change(agreement, after),))
    return after


def _is_another(charge: Charge, asked: Charge) -> bool:
    """Return whether ``charge`` is no longer at the attempt sent to Stripe.

    ``charge`` was read again, and ``asked`` is the charge as it was sent. If
    True, Stripe's answer to it must not change ``charge``.
    """
    same = (charge.payment_id, charge.attempt) == (
        asked.payment_id,
        asked.attempt,
    )
    return not same or charge.state == "waiting"


def _payment_check(user_id: str, charge: Charge) -> Write:
    """Return the condition that the charge's payment exists, unpaid.

    So Stripe is never asked for a charge without a payment in our table.
    """
    key = (user_key(user_id), charge.payment_id)
    must = Must("phase", "<", int(Phase.FAILED))
    return Write("payments", key, must=(must,))


def payment_of(books: Books, user_id: str, charge: Charge) -> Payment | None:
    """Return the payment of a charge, or None if its record is lost."""
    item = books.store.get("payments", (user_key(user_id), charge.payment_id))
    return Payment.from_item(item) if item else None
