"""Runs one account's automatic top-up: opens a charge, and charges the card.

DynamoDB refuses each write if the row of the customer's agreement to top-ups
has changed since it was read. Then a concurrent process has written first, so
the runner reads the row again and decides again.
"""

from dataclasses import replace
from typing import Literal, assert_never

from billing.agreements.agreement import Agreement
from billing.agreements.rows import change, read
from billing.books import Books
from billing.charging.charge import Reason
from billing.charging.state_machine import Begin, Look, Send, Wait, next_step
from billing.clock import epoch
from billing.errors import ConditionFailedError, OutcomeUnknownError
from billing.payments import plans
from billing.payments.payment import Phase
from billing.quota.balance import read_account
from billing.top_up.attempts import ask_again, begin, payment_of
from billing.top_up.closing import close, commit
from billing.top_up.job import Job
from billing.top_up.obstacles import is_needless
from billing.top_up.opening import BETWEEN_SECONDS, opening


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
    """Take the next step of an account's automatic charge.

    If no charge is open, it opens one if the account needs it. Returns None if
    the caller must read the agreement again and take another step, and the
    agreement otherwise. After the customer has switched top-ups off, a request
    with unknown outcome is not sent again: Stripe is only asked for the
    outcome.
    """
    charge = agreement.charge
    if charge is None:
        return _open_if_low(job, agreement)
    payment = payment_of(job.books, agreement.user_id, charge)
    if payment and payment.phase >= Phase.FAILED:
        reason: Reason | Literal[""] = (
            "" if payment.phase is Phase.PAID else "refused"
        )
        return close(job.books, agreement, payment, reason)
    match next_step(charge, epoch(job.books.clock())):
        case Wait():
            return agreement
        case Begin():
            return begin(job, agreement, payment)
        case Send():
            ask = job.asker.send if agreement.charges else job.asker.look
            return ask_again(job, agreement, payment, ask)
        case Look():
            return ask_again(job, agreement, payment, job.asker.look)
        case other:
            assert_never(other)


def _open_if_low(job: Job, agreement: Agreement) -> Agreement | None:
    """Open a charge if the account is below the agreed ``when_below``.

    Returns None if a charge was opened, so that the caller takes its first
    step at once. Otherwise it returns the agreement. Its ``due`` says when to
    look again; 0 is never.
    """
    books, now = job.books, job.books.clock()
    if epoch(now) < agreement.due:
        return agreement
    if not agreement.charges:
        return _leave_index(books, agreement)
    stored = read_account(books.store, agreement.user_id)
    if stored.remaining >= agreement.when_below:
        return _leave_index(books, agreement)
    if is_needless(books, agreement):
        return _look_later(books, agreement)
    plan = plans.catalogue().get(agreement.plan)
    found = opening(agreement, plan, now)
    commit(books, agreement, found.after, found.writes)
    return None if found.charge else found.after


def _look_later(books: Books, agreement: Agreement) -> Agreement:
    """Store that the agreement must be looked at in a minute, and return it.

    The stored balance is below the agreed threshold (``when_below``), but the
    account has enough units if those of expired holds are counted. When these
    are used, no debit opens a charge, because only a debit that crosses the
    threshold does. So the sweep, which runs each minute, must look.
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
