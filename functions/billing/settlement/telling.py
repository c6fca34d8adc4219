"""Decides which events to the seller a change of a payment causes.

These functions read no clock and make no outside call.
"""

from collections.abc import Iterator

from billing.notices.notice import Notice, NoticeType
from billing.payments.payment import Payment, Phase
from billing.settlement.basis import Basis, Loaded


def told_by(basis: Basis, after: Payment) -> tuple[Notice, ...]:
    """Return the events to the seller that a settlement causes.

    ``basis`` has the payment before the settlement, and ``after`` is the
    payment after it. Without a stored payment that was read, there is nothing
    to compare, and the result is (). It is also () if the ledger shows that
    the purchase was credited before a restore from a backup, because the event
    was sent then.
    """
    if (
        not isinstance(basis, Loaded)
        or basis.stored is None
        or basis.payment is None
    ):
        return ()
    if basis.is_funded:
        return ()
    shown = after.as_answer()
    return tuple(Notice(kind, shown) for kind in _types(basis.payment, after))


def _types(before: Payment, after: Payment) -> Iterator[NoticeType]:
    """Yield the type of the event to the seller, or nothing.

    One change causes at most one event. If a refund fails or a dispute is
    won, the event has the same type as the one at its start, so that a
    receiver who reads ``data`` always has the present state.
    ``processing``, ``expired`` and a decline that changes neither status
    nor code cause no event.
    """
    if after.phase is not Phase.PAID:
        if after.status == "failed" and _failure(before) != _failure(after):
            yield "payment.failed"
    elif before.phase is not Phase.PAID:
        yield "payment.completed"
    elif before.reversals.returned_minor != after.reversals.returned_minor:
        yield "payment.refunded"
    elif _disputed(before) != _disputed(after):
        yield "payment.disputed"


def _failure(payment: Payment) -> tuple[str, str]:
    return payment.status, payment.failure_code


def _disputed(payment: Payment) -> tuple[str, int]:
    return payment.status, payment.units_clawed_back
