"""Decides which events out follow from a change of an agreement. It is pure."""

from collections.abc import Iterator

from billing.notices.notice import Notice
from billing.top_up.agreement import Agreement


def told_by(before: Agreement, after: Agreement) -> Iterator[Notice]:
    """Yield the events out: the first decline of a charge, and the end of charges.

    A customer's own switching off causes no event.
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
