"""Releases expired holds and lots before units are taken.

The last batch is released in the same write that takes the units. A lot is the
units of one purchase or grant.
"""

from datetime import datetime

from billing.clock import epoch
from billing.errors import NotDoneError
from billing.expiry import upkeep
from billing.expiry.upkeep import Expired
from billing.notices.notice import tell
from billing.quota.balance import Balance
from billing.quota.movement import Movement
from billing.spending.meter import Meter
from billing.spending.taking import Taking, day_has_begun, units_left
from billing.storage.writes import Write, equals


def take_and_release(expired: Expired, taking: Taking, now: datetime) -> Write:
    """Return one write that ends expired holds or lots, and takes the units.

    The expired ones are ended first. A lot is the units of one purchase or
    grant. DynamoDB refuses the write if the account has changed since
    ``expired`` was read.
    """
    before, after = expired.before, expired.after
    of_key = _net(expired.account, taking.of_key)
    units = {
        "remaining": after.remaining - before.remaining - taking.units,
        "held": after.held - before.held,
    }
    units[taking.into] = units.get(taking.into, 0) + taking.units
    same_remaining = equals("remaining", before.remaining)
    return expired.account._replace(
        add={**expired.account.add, **units, **of_key.add},
        must=(
            *expired.account.must,
            same_remaining,
            day_has_begun(now),
            *of_key.must,
            *taking.clauses,
        ),
    )


def _net(account: Write, of_key: Movement) -> Movement:
    """Return how an API key's counters change in a write that does two things.

    ``account`` is the first: it releases expired holds, which may give units
    back to the key's limit. ``of_key`` is the second: the key takes units. The
    result adds up both. Its condition, that the limit is not exceeded, already
    counts the units that come back.
    """
    back = {name: added(account, name) for name in of_key.add}
    add = {name: units + back[name] for name, units in of_key.add.items()}
    must = (
        clause._replace(value=clause.value - back[clause.name])
        for clause in of_key.must
    )
    return Movement(add, tuple(must))


def added(account: Write, name: str) -> int:
    """Return how much a write adds to an attribute of the balance.

    The result is 0 if the write does not add to it.
    """
    units = account.add.get(name, 0)
    return units if isinstance(units, int) else 0


def release_before_taking(
    meter: Meter, taking: Taking, balance: Balance
) -> Expired | None:
    """Release expired holds and lots, except the last batch.

    Returns that last batch, which the caller releases in the same write
    that takes the units, or None if nothing has expired. There is no pause
    between batches, because each makes progress. A lot is the units of one
    purchase or grant.
    """
    books, user_id = meter.books, taking.user_id
    for _ in books.store.deadline.attempts(pauses=False):
        if not upkeep.is_due(balance, epoch(books.clock())):
            return None
        expired = upkeep.read_expired(books, user_id, balance)
        is_all = not upkeep.is_due(expired.after, epoch(books.clock()))
        if is_all and _is_enough(expired.after, taking):
            return expired
        account, *told = tell(
            books,
            user_id,
            expired.before,
            expired.account,
            now=books.clock(),
            notices=expired.notices,
        )
        books.store.commit(account, *expired.closing, *told)
        balance = expired.before.after(account)
    raise NotDoneError(
        "more had expired than could be released before the deadline; nothing was taken"
    )


def _is_enough(balance: Balance, taking: Taking) -> bool:
    key = taking.key and taking.key.as_in(balance)
    return units_left(balance, key) >= taking.least
