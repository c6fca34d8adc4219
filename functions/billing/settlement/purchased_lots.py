"""What a settlement does to the lots of the account, beside its remaining units and its debt.

A purchase's units come in as one lot. A clawback takes from the purchase's own lot first, and then
as a debit does. What is given back comes in as a lot of its own, with the time it was away added.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from billing.clock import epoch, epoch_after
from billing.lots import burning
from billing.lots.lot import Lot
from billing.payments.payment import Payment
from billing.quota import lot_changes
from billing.quota.lot_changes import NO_CHANGE, Change
from billing.quota.lot_rows import Holdings
from billing.quota.movement import Movement


@dataclass(frozen=True, slots=True)
class Lotted:
    """The payment after its lots moved, and what that writes."""

    payment: Payment
    change: Change = NO_CHANGE


def lot_id(payment: Payment, number: int = 0) -> str:
    """Return the id of a purchase's lot: 0 as it was bought, else the movement that gave back.

    Ids of one purchase sort as they came in, which orders lots of the same age.
    """
    return f"purchase:{payment.payment_id}:{number:04d}"


def own_free(payment: Payment, holdings: Holdings) -> int:
    """Return the free units in a purchase's own lots."""
    return sum(lot.free for lot in holdings.lots if _is_own(payment, lot))


def fund(
    payment: Payment,
    movement: Movement,
    holdings: Holdings | None,
    now: datetime,
) -> Lotted:
    """Let a purchase's units come in as a lot, less those that pay debt.

    ``holdings`` is None where the units never expire: that lot burns after all others.
    """
    expires_at = 0
    if payment.expires_after_days:
        life = timedelta(days=payment.expires_after_days)
        expires_at = epoch_after(now + life)
    paid = replace(payment, lot_expires_at=expires_at)
    units = movement.add.get("remaining", 0)
    lot = _lot(paid, 0, paid.quota, units, expires_at).begun(epoch(now))
    if not units:
        return Lotted(paid)
    if holdings is None:
        row, adds = lot_changes.add_at_the_end(payment.user_id, lot)
        return Lotted(paid, Change((row,), {}, adds, (), ()))
    after = burning.in_order((*holdings.lots, lot))
    change = lot_changes.change(holdings, after, is_exact=bool(expires_at))
    return Lotted(paid, change)


def claw_back(
    payment: Payment, units: int, holdings: Holdings, now: datetime
) -> Lotted:
    """Take ``units`` from the purchase's own lots first, the rest as a debit does."""
    taken = burning.take_back(holdings.lots, payment.funding_id, units)
    change = lot_changes.change(holdings, taken.lots)
    if rest := units - taken.units:
        burned = change.add.get("lots_used", 0) - rest
        change = replace(change, add={**change.add, "lots_used": burned})
    if payment.away_since:
        return Lotted(payment, change)
    gone = replace(
        payment,
        away_since=epoch(now),
        lot_expires_at=_last_expiry(payment, holdings),
    )
    return Lotted(gone, change)


def give_back(
    payment: Payment, movement: Movement, holdings: Holdings, now: datetime
) -> Lotted:
    """Let units that were clawed back come in again, less those that pay debt."""
    units = movement.add.get("remaining", 0)
    expires_at = burning.expiry_after_return(
        payment.lot_expires_at, payment.away_since, epoch(now)
    )
    is_all_back = payment.units_clawed_back == payment.units_expired
    returned = replace(payment, away_since=0) if is_all_back else payment
    if not units:
        return Lotted(returned)
    number = payment.movements
    lot = _lot(payment, number, units, units, expires_at).begun(epoch(now))
    after = burning.in_order((*holdings.lots, lot))
    return Lotted(
        returned, lot_changes.change(holdings, after, is_exact=bool(expires_at))
    )


def _last_expiry(payment: Payment, holdings: Holdings) -> int:
    """Return when the last of a purchase's units expire, or would have. 0 for never."""
    own = [
        lot.expires_at
        for lot in holdings.lots
        if lot.left and _is_own(payment, lot)
    ]
    return 0 if 0 in own else max(own, default=payment.lot_expires_at)


def _lot(
    payment: Payment, number: int, units: int, free: int, expires_at: int
) -> Lot:
    """Return a lot of a purchase. It is as old as the purchase is, and later ones burn later."""
    bought_at = datetime.fromisoformat(payment.completed_at)
    return Lot(
        lot_id=lot_id(payment, number),
        source="purchase",
        units=units,
        free=free,
        expires_at=expires_at,
        created_us=int(bought_at.timestamp() * 1_000_000),
        reference_id=payment.funding_id,
    )


def _is_own(payment: Payment, lot: Lot) -> bool:
    return lot.source == "purchase" and lot.reference_id == payment.funding_id
