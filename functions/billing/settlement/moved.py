"""Computes the units that a settlement moves, on the balance and in lots."""

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
    """Return how many units of a clawback had expired before.

    They count as taken back already. If ``change`` gives units back, the
    number is negative: such units no longer count. Units that were really
    taken are given back before units that only counted as taken.
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
    """Return the payment and the writes of lots after the movement.

    ``change`` says whether units are credited, clawed back or given back, and
    ``basis`` has the lots as they were read.
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
    """Return the balance that the settlement has read, or an empty one."""
    if isinstance(basis, Loaded):
        return basis.balance
    return basis.holdings.balance if basis.holdings else Balance()


def movement_of(
    books: Books, basis: Basis, change: Change, units: int
) -> Movement:
    """Return what the settlement adds to the balance.

    The deployment's policy says what happens to clawed back units that were
    used: they become debt, or are written off.
    """
    balance = balance_of(basis)
    if change.units < 0:
        return balances.go_out(balance, -units, books.policy)
    # What was written off at the clawback comes back first: the customer has used those units.
    back = 0
    if change.entry == "reinstated":
        back = min(change.payment.units_written_off, units)
    return replace(balances.come_in(balance, units - back), written_off=-back)
