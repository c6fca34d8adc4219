"""Decides whether an automatic charge is still needed and can be made.

If it cannot, the reason is returned, for example ``card_gone``.
"""

from typing import Literal

from billing.agreements.agreement import Agreement
from billing.agreements.card import CARD_ATTEMPTS_MAX
from billing.books import Books
from billing.charging.charge import Reason
from billing.payments import plans
from billing.payments.payment import Payment
from billing.spending import debits


def is_called_off(books: Books, agreement: Agreement, payment: Payment) -> bool:
    """Return whether the charge is no longer wanted.

    Top-ups are off or paused, the terms changed, or the account has enough
    units again.
    """
    if not agreement.charges or not agreement.covers(payment):
        return True
    return is_needless(books, agreement)


def obstacle(agreement: Agreement, now: int) -> Reason | Literal[""]:
    """Return why the customer's card cannot be charged now, or "" if it can.

    It is about the next attempt of an automatic top-up. The reasons are
    ``plan_removed``, ``price_changed``, ``card_gone`` and
    ``too_many_attempts``.
    """
    if reason := agreement.differs(plans.catalogue().get(agreement.plan)):
        return reason
    if not agreement.card.id:
        return "card_gone"
    tries = agreement.tries_of(agreement.card, now)
    return "too_many_attempts" if len(tries) >= CARD_ATTEMPTS_MAX else ""


def is_needless(books: Books, agreement: Agreement) -> bool:
    """Return whether no charge is needed, because there are enough units.

    That is the agreed ``when_below`` or more. Units of expired holds count.
    """
    return (
        debits.read(books, agreement.user_id).remaining >= agreement.when_below
    )
