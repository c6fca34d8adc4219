"""Runs one account's automatic charge: opens it, asks Stripe, stores results.

DynamoDB refuses each write if the customer's agreement has changed since it
was read. Then a concurrent process was faster, so the runner reads and decides
again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from billing.agreements.agreement import Agreement
from billing.agreements.card import CARD_ATTEMPTS_MAX
from billing.agreements.rows import change, read
from billing.books import Books
from billing.charging import state_machine
from billing.charging.answers import Word
from billing.charging.asking import Asker
from billing.charging.charge import Charge, Reason
from billing.charging.state_machine import (
    Begin,
    Closed,
    Look,
    Send,
    Wait,
    next_step,
)
from billing.clock import epoch
from billing.errors import ConditionFailedError, OutcomeUnknownError
from billing.payments import plans
from billing.payments.payment import Payment, Phase
from billing.quota.balance import read_account
from billing.settlement import settlement
from billing.spending import debits
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write
from billing.top_up.closing import close, commit
from billing.top_up.opening import BETWEEN_SECONDS, opening

Report = Callable[[str, Exception], None]
"""Called with the payment's id and the error if an outcome is unknown or a
request was refused.
"""


@dataclass(frozen=True, slots=True)
class Job:
    """What a run of one account's automatic charge needs.

    ``find_lost(user_id, customer)`` settles charges that were made before but
    are missing in our records after a restore. It returns whether it found
    any.
    """

    books: Books
    asker: Asker
    report: Report = lambda *_: None
    find_lost: Callable[[str, str], bool] = lambda *_: False


def run(job: Job, user_id: str) -> Agreement:
    """Take all due steps of one account's automatic charge. Idempotent.

    Returns the customer's agreement after them.
    """
    for _ in job.books.store.deadline.attempts():
        agreement = read(job.books, user_id)
        try:
            done = _advance(job, agreement)
        except ConditionFailedError:
            continue
        if done is not None:
            return done
    raise OutcomeUnknownError(
        f"the agreement of {user_id} kept changing until the deadline"
    )


def _advance(job: Job, agreement: Agreement) -> Agreement | None:
    """Take the next step of a charge.

    Returns the agreement, or None if another step may follow at once. After
    the customer has switched top-ups off, a request with unknown outcome is
    not sent again: Stripe is only asked for the outcome.
    """
    charge = agreement.charge
    if charge is None:
        return _open_if_low(job, agreement)
    payment = _payment(job.books, agreement.user_id, charge)
    if payment and payment.phase >= Phase.FAILED:
        reason: Reason | Literal[""] = (
            "" if payment.phase is Phase.PAID else "refused"
        )
        return close(job.books, agreement, payment, reason)
    match next_step(charge, epoch(job.books.clock())):
        case Wait():
            return agreement
        case Begin():
            return _begin(job, agreement, payment)
        case Send():
            ask = job.asker.send if agreement.charges else job.asker.look
            return _ask(job, agreement, payment, ask)
        case Look():
            return _ask(job, agreement, payment, job.asker.look)
        case other:
            assert_never(other)


def _open_if_low(job: Job, agreement: Agreement) -> Agreement | None:
    """Open a charge if the account is below the agreed ``when_below``.

    Returns the agreement, or None if a charge was opened, so that its first
    step follows at once.
    """
    books, now = job.books, job.books.clock()
    if epoch(now) < agreement.due:
        return agreement
    if not agreement.charges:
        return _leave_index(books, agreement)
    stored = read_account(books.store, agreement.user_id)
    if stored.remaining >= agreement.when_below:
        return _leave_index(books, agreement)
    if _is_needless(books, agreement):
        return _look_later(books, agreement)
    plan = plans.catalogue().get(agreement.plan)
    found = opening(agreement, plan, now)
    commit(books, agreement, found.after, found.writes)
    return None if found.charge else found.after


def _look_later(books: Books, agreement: Agreement) -> Agreement:
    """Make the sweep look at the agreement again later, and return it.

    The account counts as above ``when_below`` only because expired holds count
    as released. The stored balance is below already, so no debit will cross
    the threshold and open a charge.
    """
    after = replace(agreement, due=epoch(books.clock()) + BETWEEN_SECONDS)
    books.store.commit(change(agreement, after))
    return after


def _leave_index(books: Books, agreement: Agreement) -> Agreement:
    if not agreement.due:
        return agreement
    after = replace(agreement, due=0)
    books.store.commit(change(agreement, after))
    return after


def _begin(
    job: Job, agreement: Agreement, payment: Payment | None
) -> Agreement | None:
    """Store the next attempt of a charge, then send its request to Stripe.

    Returns the agreement, or None if another step may follow at once. The
    charge is closed if it is no longer wanted or cannot be made.
    """
    charge, books = agreement.charge, job.books
    assert charge is not None  # noqa: S101 - the caller's own branch
    if payment is None:
        return close(job.books, agreement, None, "record_lost")
    now = epoch(books.clock())
    if _is_called_off(books, agreement, payment):
        close(job.books, agreement, payment, "", is_called_off=True)
        return None
    if reason := _obstacle(agreement, now):
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


def _ask(
    job: Job,
    agreement: Agreement,
    payment: Payment | None,
    ask: Callable[[Payment, Charge, int], Word],
) -> Agreement | None:
    """Put the charge off, then ask Stripe with ``ask``, and record the answer.

    A concurrent process leaves a charge alone that is put off. Returns the
    agreement, or None if another step may follow at once.
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
    """Settle what Stripe says of a charge, then write its new state.

    ``word`` is what Stripe says, and ``asked`` the agreement with the attempt
    that it is about. Returns the agreement. The payment is settled first: if
    the process crashes in between, the next run finds it settled.
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
    payment = _payment(books, asked.user_id, charge)
    if isinstance(answered, Closed):
        return close(job.books, agreement, payment, answered.reason)
    if answered == charge:
        return agreement
    after = replace(agreement, charge=answered, due=answered.due)
    commit(books, agreement, after, (change(agreement, after),))
    return after


def _is_another(charge: Charge, asked: Charge) -> bool:
    """Return whether ``charge`` is no longer the attempt ``asked``.

    Then Stripe's answer must not change it.
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


def _is_called_off(
    books: Books, agreement: Agreement, payment: Payment
) -> bool:
    """Return whether the charge is no longer wanted.

    Top-ups are off or paused, the terms changed, or the account has enough
    units again.
    """
    if not agreement.charges or not agreement.covers(payment):
        return True
    return _is_needless(books, agreement)


def _obstacle(agreement: Agreement, now: int) -> Reason | Literal[""]:
    """Return why the next attempt cannot be made, or "" if it can.

    The reasons are ``plan_removed``, ``price_changed``, ``card_gone`` and
    ``too_many_attempts``.
    """
    if reason := agreement.differs(plans.catalogue().get(agreement.plan)):
        return reason
    if not agreement.card.id:
        return "card_gone"
    tries = agreement.tries_of(agreement.card, now)
    return "too_many_attempts" if len(tries) >= CARD_ATTEMPTS_MAX else ""


def _is_needless(books: Books, agreement: Agreement) -> bool:
    """Return whether the account again has ``when_below`` units.

    A charge is then not needed.
    """
    return (
        debits.read(books, agreement.user_id).remaining >= agreement.when_below
    )


def _payment(books: Books, user_id: str, charge: Charge) -> Payment | None:
    item = books.store.get("payments", (user_key(user_id), charge.payment_id))
    return Payment.from_item(item) if item else None
