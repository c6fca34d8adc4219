"""Opens a charge: builds the rows for the write that crosses ``when_below``. It is pure.

The payment's row is in the books before Stripe is asked, and an account has at most one open
charge. The conditions of one transaction ensure both.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from billing.clock import epoch, stamp
from billing.ids import new_id
from billing.payments.payment import Payment
from billing.payments.plan import Plan
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write, absent, creates, exists
from billing.top_up.agreement import (
    Agreement,
    change,
    month_after,
    month_of,
    paused,
)
from billing.top_up.charge import Charge, Reason

BETWEEN_SECONDS: Final = 60
"""From one charge of an account to the next, where one pack was not enough."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The rows for a write below ``when_below``, and the agreement after it.

    ``charge`` is None if no charge is opened.
    """

    after: Agreement
    charge: Charge | None
    writes: tuple[Write, ...]


def opening(agreement: Agreement, plan: Plan | None, now: datetime) -> Opening:
    """Return the rows for an account below ``when_below``, under the agreement as it was read.

    ``plan`` is what the catalogue sells under the agreed plan's name. Every write is refused when
    the agreement has changed since it was read: then decide again on the new one.
    """
    if not agreement.charges or agreement.charge:
        return _at_rest(agreement)
    if reason := agreement.differs(plan):
        return _switched_off(agreement, reason)
    month = max(month_of(now), agreement.month)
    used = agreement.used_in(month)
    if used >= agreement.max_per_month:
        return _until_next_month(agreement, now)
    payment_id = new_id("pay", now)
    charge = Charge(payment_id=payment_id, due=epoch(now))
    after = replace(
        agreement, month=month, used=used + 1, charge=charge, due=charge.due
    )
    must = (absent("charge_id"), *_below_the_cap(agreement, used))
    account = change(agreement, after, *must)
    return Opening(after, charge, (account, _payment(agreement, charge, now)))


def _below_the_cap(agreement: Agreement, used: int) -> tuple[Must, ...]:
    """Return the clause that the month's limit is not reached, beside the version that pins it."""
    if not used:
        return ()
    return (Must("used", "<", agreement.max_per_month),)


def _payment(agreement: Agreement, charge: Charge, now: datetime) -> Write:
    """Freeze the price and the units as they were agreed to."""
    payment = Payment(
        payment_id=charge.payment_id,
        user_id=agreement.user_id,
        plan=agreement.plan,
        quota=agreement.quota,
        amount_minor=agreement.amount_minor,
        currency=agreement.currency,
        expires_after_days=agreement.expires_after_days,
        created_at=stamp(now),
    )
    key = (user_key(agreement.user_id), charge.payment_id)
    return creates("payments", key, payment.to_item())


def _at_rest(agreement: Agreement) -> Opening:
    """Nothing to open: an open charge keeps its time, an idle row leaves the index."""
    if agreement.charge or not agreement.due:
        return Opening(agreement, None, ())
    after = replace(agreement, due=0)
    return Opening(after, None, (change(agreement, after),))


def _switched_off(agreement: Agreement, reason: Reason) -> Opening:
    """Return an opening without a charge: the price or the units are no longer those agreed to."""
    after = replace(paused(agreement, reason), due=0)
    return Opening(after, None, (change(agreement, after, exists("version")),))


def _until_next_month(agreement: Agreement, now: datetime) -> Opening:
    """Return an opening without a charge until next month, because the month's limit is reached.

    Nothing crosses again while nothing remains, so the agreement is due when the month begins.
    """
    due = epoch(month_after(now))
    if agreement.due == due:
        return Opening(agreement, None, ())
    after = replace(agreement, due=due)
    return Opening(after, None, (change(agreement, after),))
