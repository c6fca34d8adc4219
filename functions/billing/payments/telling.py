"""Decides which events out follow from a change of a payment. It is pure."""

from collections.abc import Iterator

from billing.notices.notice import Notice, NoticeType
from billing.payments.basis import Basis, Loaded
from billing.payments.payment import Payment, Phase


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
    if before.phase is not Phase.PAID and after.phase is Phase.PAID:
        yield "payment.completed"
    if before.status != "failed" and after.status == "failed":
        yield "payment.failed"
    if after.reversals.returned_minor > before.reversals.returned_minor:
        yield "payment.refunded"
    if before.status != "disputed" and after.status == "disputed":
        yield "payment.disputed"
