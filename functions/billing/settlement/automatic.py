"""Ends automatic top-ups after a dispute or full refund of such a payment."""

from collections.abc import Iterator

from billing.notices.notice import Notice
from billing.payments.payment import Payment
from billing.settlement.basis import Basis
from billing.storage.keys import TOP_UP
from billing.storage.writes import Write

TAKEN_BACK = ("disputed", "refunded")


def switch_off(before: Payment | None, after: Payment) -> Iterator[Write]:
    """Yield the write that ends automatic charges, if it is needed.

    It is needed for a dispute or a full refund of an automatic payment, which
    shows that the customer did not want it. The customer must then agree
    again. The write has no condition. It raises the version of the customer's
    agreement, so that a charge that is just being opened is refused.
    """
    if is_taken_back(before, after):
        off = {"on": False, "paused": after.status}
        key = (after.user_id, TOP_UP)
        yield Write("quotas", key, set=off, add={"version": 1})


def told_by(basis: Basis, after: Payment) -> Iterator[Notice]:
    """Yield an event for the seller if a change ends automatic top-ups.

    It does if an automatic charge becomes disputed or fully refunded.
    Otherwise nothing is yielded. ``basis`` has the payment before the
    change, and ``after`` is the payment after it.
    """
    if is_taken_back(basis.payment, after):
        data = {"reason": after.status, "payment": after.as_answer()}
        yield Notice("top_up.off", data)


def is_taken_back(before: Payment | None, after: Payment) -> bool:
    """Return whether this change takes an automatic payment's money back.

    That is so if the payment becomes disputed or fully refunded.
    """
    if before is None or after.session_id or before.status in TAKEN_BACK:
        return False
    return after.status in TAKEN_BACK
