"""Places holds: sets units aside for a limited time.

Each open hold has a row, and its units are counted in the balance's ``held``.
"""

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from billing.books import Books
from billing.clock import epoch_after, from_epoch
from billing.holds.hold import Hold, HoldId
from billing.lots.burning import Parts
from billing.quota import lot_burning, lot_holds
from billing.quota.balance import Balance
from billing.quota.key_use import KeyUse, limit_remaining
from billing.quota.lot_changes import NO_CHANGE
from billing.quota.lot_holds import Placed
from billing.spending.attempt import Attempt
from billing.spending.meter import Meter
from billing.spending.taking import Taking
from billing.spending.tries import take_in_transaction
from billing.storage.writes import Must, Write, absent, creates, equals

EXPIRES_IN_SECONDS_MAX: Final = 86_400
NO_WRITE: Final = Write("quotas", ("", "quota"))


def place(
    meter: Meter,
    user_id: str,
    units: int,
    expires_in_seconds: int,
    *,
    at_least: int = 0,
    key: KeyUse | None = None,
) -> Hold:
    """Set ``units`` aside, and return the hold that has them.

    Raises ``quota_exhausted`` if too few remain, and takes nothing. With
    ``at_least``, all units that remain are set aside if they are fewer than
    ``units`` and not fewer than ``at_least``. ``expires_in_seconds`` is 1 to
    86 400, and the expiry is rounded up to a whole second. ``key`` is the
    customer's API key, whose limit counts too, or None.
    """

    def transaction(attempt: Attempt) -> tuple[Hold, Balance]:
        expires_at = epoch_after(
            attempt.now + timedelta(seconds=expires_in_seconds)
        )
        hold = HoldId(user_id, expires_at, secrets.token_hex(8))
        left = _commit(meter.books, attempt, hold)
        remaining = max(0, left.remaining)
        expiry, of_limit = from_epoch(expires_at), limit_remaining(left, key)
        held = attempt.taking.units
        return Hold(str(hold), held, remaining, expiry, of_limit), left

    taking = Taking(user_id, units, "held", key, at_least)
    return take_in_transaction(meter, taking, transaction)


def _commit(books: Books, attempt: Attempt, hold: HoldId) -> Balance:
    """Commit one attempt to place a hold. Return the balance after it.

    All or nothing::

                 key          writes                 if
            0    user, quota  remaining -= units     the units are there
                              held += units
            1    user, hold#  units, expires_at,     there is no such row
                              parts
            ..   user, lot#   free -= units,         unchanged since the
                              held += units          read
            ..   other rows of the attempt: see Attempt.beside

    A lot is the units of one purchase or grant. ``parts`` is how many units
    came from each lot.
    """
    due, account = _keep_holds_due(attempt, hold.expires_at)
    of_lots = _take_from_lots(books, attempt)
    change = of_lots.change
    row = _open(hold, attempt.taking, of_lots.parts)
    books.store.commit_once(
        change.beside(account),
        row,
        *change.rows,
        *attempt.beside,
        clears_up=True,
    )
    placed = attempt.balance.holds_placed + 1
    left = replace(
        attempt.left(attempt.balance), holds_due=due, holds_placed=placed
    )
    return left.after(change.beside(NO_WRITE))


def _take_from_lots(books: Books, attempt: Attempt) -> Placed:
    """Return how many units a hold takes from each lot, and the writes.

    A lot is the units of one purchase or grant. Lots are read, with one
    call to DynamoDB, only on an account on which units can expire.
    """
    balance, taking = attempt.balance, attempt.taking
    if not balance.lots_exact:
        must = lot_holds.name_no_lots(balance)
        return Placed({}, replace(NO_CHANGE, must=must))
    units = taking.units
    holdings = lot_burning.read_burnable(
        books, taking.user_id, balance, enough=units
    )
    return lot_holds.place(holdings, units)


def _open(hold: HoldId, taking: Taking, parts: Parts) -> Write:
    values: dict[str, Any] = {
        "units": taking.units,
        "expires_at": hold.expires_at,
        "open": "open",
    }
    if taking.key:
        values["key_id"] = taking.key.key_id
    if parts:
        values["parts"] = dict(parts)
    return creates("quotas", hold.open_row, values)


def _keep_holds_due(attempt: Attempt, expires_at: int) -> tuple[int, Write]:
    """Return when the first open hold expires, and the write of the balance.

    ``attempt`` is one try to place a hold, which expires at ``expires_at``.
    That hold is counted too. The write is the attempt's own. If the new hold
    is the first to expire, the write also stores its time as ``holds_due``.
    DynamoDB refuses the write if a concurrent request has changed
    ``holds_due`` so that the result would be wrong. That condition is added
    here, unless the attempt also releases expired holds: then it has one.
    """
    seen = attempt.balance.holds_due
    is_sooner = not seen or expires_at < seen
    due, changed = (
        (expires_at, {"holds_due": expires_at}) if is_sooner else (seen, {})
    )
    account = attempt.account
    noted = account._replace(
        set={**account.set, **changed},
        add={**account.add, "holds_placed": 1},
        remove=(),
    )
    if attempt.expired:
        return due, noted
    if not is_sooner:
        unchanged = Must("holds_due", "<=", expires_at)
    elif seen:
        unchanged = equals("holds_due", seen)
    else:
        unchanged = absent("holds_due")
    return due, noted._replace(must=(*account.must, unchanged))
