"""Ends an automatic charge that succeeded, failed or was called off.

It changes the customer's agreement to automatic top-ups, and writes the events
to the seller that the change causes.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from billing.agreements.agreement import Agreement, paused
from billing.agreements.rows import change
from billing.books import Books
from billing.charging.charge import Charge, Reason
from billing.clock import epoch
from billing.notices.notice import tell
from billing.payments.payment import Payment, Phase
from billing.quota.balance import read_account
from billing.storage.keys import user_key
from billing.storage.writes import Write, equals
from billing.top_up.opening import BETWEEN_SECONDS
from billing.top_up.telling import told_by


def close(
    books: Books,
    agreement: Agreement,
    payment: Payment | None,
    reason: Reason | Literal[""],
    *,
    is_called_off: bool = False,
) -> Agreement:
    """Close the open automatic charge, and return the changed agreement.

    ``agreement`` is the customer's to automatic top-ups, and has the charge.
    ``reason`` is why the charge failed, or "" if it did not fail.
    ``is_called_off`` is true if Stripe was never asked for this attempt,
    because the charge is not wanted any more.
    """
    charge, now = agreement.charge, books.clock()
    assert charge is not None  # noqa: S101 - the caller's own branch
    after = replace(agreement, charge=None, due=0)
    failed = bool(reason) or is_called_off
    if failed:  # its month is the stored one: no other charge was opened since
        after = replace(after, used=max(0, after.used - 1))
    if reason:
        after = paused(after, reason)
    elif after.charges:
        pause = 0 if is_called_off else BETWEEN_SECONDS
        after = replace(after, due=epoch(now) + pause)
    writes = [change(agreement, after)]
    if failed and payment and payment.phase < Phase.FAILED:
        writes.append(_payment_failed(payment, charge, reason or "not_needed"))
    commit(books, agreement, after, tuple(writes))
    return after


def _payment_failed(payment: Payment, charge: Charge, code: str) -> Write:
    """Return the write that marks the payment of a charge as failed.

    DynamoDB refuses it if the payment has changed, for example because it was
    credited after all.
    """
    values = {"phase": int(Phase.FAILED), "status": "failed"}
    known = {
        "failure_code": payment.failure_code or code,
        **({"payment_intent": charge.intent} if charge.intent else {}),
    }
    return Write(
        "payments",
        (user_key(payment.user_id), payment.payment_id),
        set={**values, **known},
        add={"version": 1},
        must=(equals("version", payment.version),),
    )


def commit(
    books: Books, before: Agreement, after: Agreement, writes: tuple[Write, ...]
) -> None:
    """Write a change of an agreement to automatic top-ups, in one transaction.

    The events to the seller that the change causes are written with it, and so
    are the further ``writes``.
    """
    books.store.commit(*writes, *_events(books, before, after))


def _events(
    books: Books, before: Agreement, after: Agreement
) -> Iterator[Write]:
    """Yield the writes of the events that this change of an agreement causes.

    The agreement is a customer's to automatic top-ups. ``top_up.failed`` is
    for the first decline of a charge, ``top_up.off`` for charges that are now
    paused. Yields nothing if neither happened, or if the seller is sent no
    events. A dispute or refund sends its own ``top_up.off``
    (billing.settlement.automatic).
    """
    notices = tuple(told_by(before, after))
    if not notices or not books.telling.is_on:
        return
    now, user_id = books.clock(), after.user_id
    balance = read_account(books.store, user_id)
    yield from tell(books, user_id, balance, None, now=now, notices=notices)
