"""Decides which events a change of an automatic top-up agreement causes.

The agreement is the customer's, and the events go to the seller. These
functions read no clock and make no outside call.
"""

from collections.abc import Iterator

from billing.agreements.agreement import Agreement
from billing.notices.notice import Notice


def told_by(before: Agreement, after: Agreement) -> Iterator[Notice]:
    """Yield the events to the seller that a change of an agreement causes.

    The agreement is a customer's to automatic top-ups. ``top_up.failed`` is
    for the first decline of a charge, ``top_up.off`` for charges that are
    paused. If the customer switches top-ups off, no event is sent.
    """
    charge = before.charge
    data = {
        "reason": after.paused or None,
        "payment_id": charge.payment_id if charge else None,
        "auto_top_up": after.as_answer(after.month),
    }
    if _is_first_decline(before, after):
        yield Notice("top_up.failed", data)
    if before.charges and after.paused:
        yield Notice("top_up.off", data)


def _is_first_decline(before: Agreement, after: Agreement) -> bool:
    charge = before.charge
    if charge is None or charge.attempt or charge.state == "waiting":
        return False
    is_paused = after.charge is None and bool(after.paused)
    is_put_off = after.charge is not None and after.charge.attempt == 1
    return is_paused or is_put_off
