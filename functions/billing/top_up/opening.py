"""Builds the writes that open an automatic charge.

They belong to the transaction that takes the account below ``when_below``, the
threshold in the customer's agreement to automatic top-ups. So the payment's
row is stored before Stripe is asked. The transaction's conditions ensure that
an account has at most one open charge. These functions read no clock and make
no outside call.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from billing.agreements.agreement import Agreement, paused
from billing.agreements.months import month_after, month_of
from billing.agreements.rows import change
from billing.charging.charge import Charge, Reason
from billing.clock import epoch, stamp
from billing.ids import new_id
from billing.payments.payment import Payment
from billing.payments.plan import Plan
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write, absent, creates, exists

BETWEEN_SECONDS: Final = 60
"""The pause between two charges of an account, if the units of one charge are
not enough.
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """Holds the writes that open an automatic charge.

    ``after`` is the customer's agreement to automatic top-ups after them.
    ``charge`` is None if no charge may be opened. Then the writes, if there
    are any, change only the agreement.
    """

    after: Agreement
    charge: Charge | None
    writes: tuple[Write, ...]


def opening(agreement: Agreement, plan: Plan | None, now: datetime) -> Opening:
    """Decide whether to open a charge, and return the writes, as an Opening.

    The account is below ``when_below``, the threshold in the customer's
    agreement. No charge is opened if top-ups are off or paused, if one is
    open, if the plan is not sold as agreed, or if the month's limit is
    reached. ``plan`` is the plan for sale with the agreed plan's id, or None.
    DynamoDB refuses the writes if the agreement has changed since it was read.
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
    """Return the condition that the month's limit of charges is not reached.

    ``used`` is how many charges were opened this month. If it is 0, the result
    is empty: the stored number may be that of an earlier month. The limit
    holds all the same, because the write also requires that the agreement has
    not changed since it was read.
    """
    if not used:
        return ()
    return (Must("used", "<", agreement.max_per_month),)


def _payment(agreement: Agreement, charge: Charge, now: datetime) -> Write:
    """Return the write that creates the charge's payment.

    It copies the price and the units from the agreement.
    """
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
    """Return an Opening (the writes to make) that opens no charge.

    If top-ups are off or paused, one write sets the agreement's ``due`` to 0,
    so that the job of each minute (the sweep) skips it. There is no write if
    ``due`` is 0 already, or if a charge is open.
    """
    if agreement.charge or not agreement.due:
        return Opening(agreement, None, ())
    after = replace(agreement, due=0)
    return Opening(after, None, (change(agreement, after),))


def _switched_off(agreement: Agreement, reason: Reason) -> Opening:
    """Return an Opening with no charge that switches automatic top-ups off.

    An Opening has the writes to make. The plan is no longer sold as the
    customer agreed: ``reason`` is ``plan_removed`` or ``price_changed``.
    """
    after = replace(paused(agreement, reason), due=0)
    return Opening(after, None, (change(agreement, after, exists("version")),))


def _until_next_month(agreement: Agreement, now: datetime) -> Opening:
    """Return an Opening with no charge, to be looked at again next month.

    An Opening has the writes to make. The month's limit of charges is reached.
    A job of each minute (the sweep) must look next month, because an account
    without units has no further debit that could open a charge.
    """
    due = epoch(month_after(now))
    if agreement.due == due:
        return Opening(agreement, None, ())
    after = replace(agreement, due=due)
    return Opening(after, None, (change(agreement, after),))
