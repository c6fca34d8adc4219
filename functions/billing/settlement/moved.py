"""Computes how many units a Stripe event moves, on the balance and in lots.

A lot is the units of one purchase or grant.
"""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from billing.books import Books
from billing.lots import burning
from billing.payments.decision import Change
from billing.quota import movement as balances
from billing.quota.balance import Balance
from billing.quota.movement import Movement
from billing.settlement import purchased_lots
from billing.settlement.basis import Basis, Loaded
from billing.settlement.purchased_lots import Lotted


def counted_as_expired(basis: Basis, change: Change) -> int:
    """Return how many units only count as taken back, as they had expired.

    A refund or dispute takes units back, but expired ones are gone already. If
    ``change`` gives units back, the result is zero or negative: minus the
    units that had only counted as taken, and so do not come back. Returns 0
    for any other change, and if the account's lots (units of purchases or
    grants) were not read.
    """
    if not isinstance(basis, Loaded) or basis.holdings is None:
        return 0
    payment = change.payment
    match change.entry:
        case "clawed_back":
            return burning.counted_as_taken_back(
                -change.units,
                purchased_lots.own_free(payment, basis.holdings),
                basis.units_expired,
                payment.units_expired,
            )
        case "reinstated":
            still = min(payment.units_expired, payment.units_clawed_back)
            return still - payment.units_expired
        case "funded" | "":
            return 0
        case _:
            assert_never(change.entry)


def lotted_by(
    basis: Basis, change: Change, movement: Movement, now: datetime
) -> Lotted:
    """Return the payment, and the writes of the lots that this change needs.

    A lot is the units of one purchase or grant. ``change`` says whether units
    are credited, taken back or returned, ``movement`` how the balance changes,
    and ``basis`` has the lots as they were read. There are no writes if no
    units move or no lots are needed.
    """
    payment, holdings = change.payment, basis.holdings
    if change.entry == "funded":
        return purchased_lots.fund(payment, movement, holdings, now)
    if holdings is None or not change.entry:
        return Lotted(payment)
    if change.entry == "clawed_back":
        taken = -movement.add.get("remaining", 0)
        return purchased_lots.claw_back(payment, taken, holdings, now)
    return purchased_lots.give_back(payment, movement, holdings, now)


def balance_of(basis: Basis) -> Balance:
    """Return the balance that was read to settle an event.

    Returns an empty one if the account was not read.
    """
    if isinstance(basis, Loaded):
        return basis.balance
    return basis.holdings.balance if basis.holdings else Balance()


def movement_of(
    books: Books, basis: Basis, change: Change, units: int
) -> Movement:
    """Return how settling an event from Stripe changes the balance.

    ``basis`` has the payment and balance before the event. ``units`` are the
    units to move, negative to take them back, and ``change`` says why they
    move. If units to take back were used already, the deployment's policy
    decides: they become debt, or the seller gives them up (a write-off). When
    units return, what was written off comes back before the balance grows.
    """
    balance = balance_of(basis)
    if change.units < 0:
        return balances.go_out(balance, -units, books.policy)
    # What was written off at the clawback comes back first: the customer has used those units.
    back = 0
    if change.entry == "reinstated":
        back = min(change.payment.units_written_off, units)
    return replace(balances.come_in(balance, units - back), written_off=-back)
