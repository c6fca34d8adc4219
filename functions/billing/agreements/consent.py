"""Stores, shows and ends a customer's agreement to automatic top-ups.

They are off unless the customer has agreed. The price and the units are stored
as the customer agreed to them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from billing.agreements import customers
from billing.agreements.agreement import FROZEN, Agreement
from billing.agreements.card import Card
from billing.agreements.months import month_of
from billing.agreements.rows import change, read, watch
from billing.agreements.saved_cards import forget_cards, newest_card
from billing.books import Books
from billing.clock import epoch, stamp
from billing.errors import (
    BillingError,
    ConditionFailedError,
    OutcomeUnknownError,
)
from billing.payments.plan import Plan
from billing.stripe_api.cards import SavedCards

NO_SAVED_CARD = (
    "no card is saved; buy once with remember_card, then ask for this again"
)


@dataclass(frozen=True, slots=True)
class Terms:
    """Holds what a customer agrees to for automatic top-ups.

    The plan is bought when fewer than ``when_below`` units remain, at
    most ``max_per_month`` times a month.
    """

    plan: Plan
    when_below: int
    max_per_month: int


def show(books: Books, user_id: str) -> dict[str, Any]:
    """Return the agreement to automatic top-ups as the API shows it.

    It is shown as off if the customer has never agreed.
    """
    return read(books, user_id).as_answer(month_of(books.clock()))


def agree(
    books: Books, cards: SavedCards, user_id: str, terms: Terms
) -> dict[str, Any]:
    """Switch automatic top-ups on, and return the agreement.

    It is returned as the API shows it. To agree again ends a pause. The newest
    saved card will be charged. The number of charges in this month is kept.
    If no charge is open, the next sweep, a job of each minute, looks at the
    agreement, and charges an account that is below the threshold already.
    Raises ``no_saved_card`` without a saved card.
    """
    customer = customers.find(books, user_id)
    card = newest_card(cards, customer) if customer else None
    if card is None:
        raise BillingError("no_saved_card", NO_SAVED_CARD)

    def agreed(before: Agreement) -> Agreement:
        now, plan = books.clock(), terms.plan
        return _at_once(
            before,
            epoch(now),
            replace(
                before,
                on=True,
                plan=plan.id,
                **{name: getattr(plan, name) for name in FROZEN},
                when_below=terms.when_below,
                max_per_month=terms.max_per_month,
                agreed_at=stamp(now),
                customer=customer,
                card=card,
                paused="",
            ),
        )

    return _change(books, user_id, agreed)


def _at_once(before: Agreement, now: int, agreed: Agreement) -> Agreement:
    """Return ``agreed`` with the time at which its charge is to be looked at.

    A job that runs each minute looks at the agreements to automatic top-ups
    whose time has come. ``agreed`` is the new agreement, and ``before`` the
    stored one. The time is now, unless a charge is open. An open charge keeps
    the time of its next step, so that a repeated PUT does not try a declined
    card again early. But if the new agreement has another card or plan, a
    charge that waits for its next attempt is tried now.
    """
    charge = before.charge
    if charge is None:
        return replace(agreed, due=now)
    terms = ("plan", *FROZEN)
    is_other = agreed.card.counted_as != before.card.counted_as or any(
        getattr(agreed, name) != getattr(before, name) for name in terms
    )
    if charge.state != "waiting" or not is_other:
        return agreed
    return replace(agreed, charge=replace(charge, due=now), due=now)


def switch_off(
    books: Books, cards: SavedCards, user_id: str, *, forget_card: bool
) -> dict[str, Any]:
    """Switch automatic top-ups off. Idempotent. Return ``{"on": False}``.

    A charge whose outcome is unknown stays open until the outcome is
    known. A charge that was not sent yet is called off by the next run.
    ``forget_card`` detaches the saved cards at Stripe first, so that a
    repeated request finishes what failed.
    """
    if forget_card:
        forget_cards(cards, customers.find(books, user_id))

    def off(before: Agreement) -> Agreement:
        due = epoch(books.clock()) if _waits(before) else before.due
        card = Card() if forget_card else before.card
        idle = due if before.charge else 0
        return replace(before, on=False, paused="", card=card, due=idle)

    _change(books, user_id, off)
    return {"on": False}


def _waits(agreement: Agreement) -> bool:
    return agreement.charge is not None and agreement.charge.state == "waiting"


def _change(
    books: Books, user_id: str, decide: Callable[[Agreement], Agreement]
) -> dict[str, Any]:
    """Apply ``decide`` to the customer's agreement to automatic top-ups.

    The result is stored, and returned as the API shows it. If the stored
    agreement changes meanwhile, ``decide`` is applied again to the new one.
    ``top_up_at`` is the threshold below which a debit opens a charge. DynamoDB
    makes both writes or none, in the table ``quotas``::

               key           writes                      if
            0  user, top_up  the agreement               unchanged
            1  user, quota   sets or removes top_up_at
    """
    for _ in books.store.deadline.attempts():
        before = read(books, user_id)
        after = decide(before)
        try:
            books.store.commit(change(before, after), watch(after))
        except ConditionFailedError:
            continue
        return after.as_answer(month_of(books.clock()))
    raise OutcomeUnknownError(
        f"the agreement of {user_id} kept changing until the deadline"
    )
