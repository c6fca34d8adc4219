"""Computes how a purchase, refund or dispute changes the account's lots.

A lot is the units of one purchase or grant, and a purchase's units become one
lot. If they are taken back, its own lot is used first, and then the others,
the first to expire first. Units that are returned become a new lot. It expires
later than the old one, by the time for which the units were gone.
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
    """Holds the writes that change lots, and the payment after that change.

    A lot is the units of one purchase or grant.
    """

    payment: Payment
    change: Change = NO_CHANGE


def lot_id(payment: Payment, number: int = 0) -> str:
    """Return the id of a lot (units) of this purchase.

    ``number`` is 0 for the units as bought. For units that are returned after
    a refund or dispute, it is the number of that return, from the payment's
    ``movements``. The ids of one purchase sort by this number, and of its lots
    with equal expiry the lower id is used first.
    """
    return f"purchase:{payment.payment_id}:{number:04d}"


def own_free(payment: Payment, holdings: Holdings) -> int:
    """Return how many units of the purchase can still be spent.

    They are neither used nor in open holds. ``holdings`` has the account's
    lots: the units of each purchase or grant.
    """
    return sum(lot.free for lot in holdings.lots if _is_own(payment, lot))


def fund(
    payment: Payment,
    movement: Movement,
    holdings: Holdings | None,
    now: datetime,
) -> Lotted:
    """Return the payment, and the writes that add its units as a lot.

    A lot is the units of one purchase or grant. ``movement`` is what the
    balance gains: units that pay debt are not in the lot. ``holdings`` has the
    account's other lots. It is None if the units never expire: then the lot is
    used after all others, which need not be read.
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
    """Return the payment, and the writes that take ``units`` from lots.

    A lot is the units of one purchase or grant. The purchase's own lots come
    first. The rest is counted as used, so it is later subtracted from the lots
    that expire first. In the returned payment, ``away_since`` is the time at
    which units were first taken back.
    """
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
    """Return the payment, and the writes that give units back as a new lot.

    A lot is the units of one purchase or grant. The units were taken back
    before, for example by a dispute that is now won. ``movement`` is the
    change of the balance. Units that pay debt are not in the lot, and if all
    of them do, there is no lot.
    """
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
    """Return when the last of the purchase's units expire. 0 means never.

    If the purchase has no units left, it is when they would have expired.
    """
    own = [
        lot.expires_at
        for lot in holdings.lots
        if lot.left and _is_own(payment, lot)
    ]
    return 0 if 0 in own else max(own, default=payment.lot_expires_at)


def _lot(
    payment: Payment, number: int, units: int, free: int, expires_at: int
) -> Lot:
    """Return a lot: units of this purchase that expire together.

    ``units`` is its size, and ``free`` is how many of them can be spent. The
    lot counts as created at the time of the purchase. Of lots with equal
    expiry and age, the one with the higher ``number`` is used later.
    """
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
