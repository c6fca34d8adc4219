"""Decides which events out follow from a change of a payment. It is pure."""

from collections.abc import Iterator

from billing.notices.notice import Notice, NoticeType
from billing.payments.payment import Payment, Phase
from billing.settlement.basis import Basis, Loaded


def told_by(basis: Basis, after: Payment) -> tuple[Notice, ...]:
    """Return the events out of a settlement that leaves the payment in this state.

    It is None if only the payment is restored: its ledger entry, and so its event, exist already.
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
    """Yield at most one type for each change of what the API shows, whichever way it goes.

    A refund that fails, or a dispute that is won, is told by the type that told its beginning, so
    that a receiver that looks at ``data`` is never left with what was undone. ``processing``,
    ``expired`` and a decline that changes no status and no code tell nothing.
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
