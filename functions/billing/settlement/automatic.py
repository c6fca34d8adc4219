"""Switches automatic top-ups off when a customer takes the money of one back."""

from collections.abc import Iterator

from billing.notices.notice import Notice
from billing.payments.payment import Payment
from billing.settlement.basis import Basis
from billing.storage.keys import TOP_UP
from billing.storage.writes import Write

TAKEN_BACK = ("disputed", "refunded")


def switch_off(before: Payment | None, after: Payment) -> Iterator[Write]:
    """Yield the write that ends automatic charges until the customer agrees again.

    A dispute or a full refund of an automatic payment shows that it was not wanted. The write is in
    the transaction that records it, and pins no version: a charge that is being opened pins it.
    """
    if is_taken_back(before, after):
        off = {"on": False, "paused": after.status}
        key = (after.user_id, TOP_UP)
        yield Write("quotas", key, set=off, add={"version": 1})


def told_by(basis: Basis, after: Payment) -> Iterator[Notice]:
    """Yield the event that automatic charges have ended."""
    if is_taken_back(basis.payment, after):
        data = {"reason": after.status, "payment": after.as_answer()}
        yield Notice("top_up.off", data)


def is_taken_back(before: Payment | None, after: Payment) -> bool:
    """Whether this change takes the money of an automatic payment back."""
    if before is None or after.session_id or before.status in TAKEN_BACK:
        return False
    return after.status in TAKEN_BACK
