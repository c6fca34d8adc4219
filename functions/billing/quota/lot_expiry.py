"""Lets go of units whose time is over, and counts them as gone for those who only read.

A lot that is due stops debits and holds, as an expired hold does. Who comes first takes its units
off the account, with one ledger entry for each lot.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from billing.books import Books
from billing.clock import epoch, stamp
from billing.errors import ConditionFailedError, Item, NotDoneError
from billing.lots import burning
from billing.lots.burning import Burned, Lots
from billing.lots.lot import LAST, PREFIX, Lot
from billing.quota import hold_expiry, lot_rows
from billing.quota.balance import Balance, read_account
from billing.quota.ledger import Entry, expired_id
from billing.quota.lot_rows import Holdings
from billing.storage.dynamodb import PAGE_MAX
from billing.storage.writes import Must, Write, equals

EXPIRED_AT_ONCE: Final = 40
"""Lots that expire in one transaction: two writes each, beside the account and what is taken with
it, within DynamoDB's 100."""
TRIES_MAX: Final = 20
"""How often a reader looks again while lots change under it."""


@dataclass(frozen=True, slots=True)
class ExpiredLots:
    """A batch of expired lots, as the writes of the transaction that lets go of them.

    It has the shape of ExpiredHolds, so that the same transaction may take units.
    """

    account: Write
    """Refused if a lot or ``used`` has changed since ``before``."""
    closing: tuple[Write, ...]
    """Each lot's row and entry."""
    before: Balance
    """The account as it was seen."""
    after: Balance
    """The account without this batch's units."""
    is_all: bool
    """Nothing more has expired."""
    units: int
    """How many units expired."""

    @classmethod
    def read(cls, books: Books, user_id: str, balance: Balance) -> "ExpiredLots":
        """Read the lots that expired first, at most EXPIRED_AT_ONCE. Nothing is written."""
        now = books.clock()
        due, rest = _first_due(books, user_id, epoch(now))
        holdings = Holdings(user_id, balance, (*due, *rest), is_all=False)
        burned = burning.burn(due, holdings.to_burn)
        gone = burning.expire(burned.lots, epoch(now))
        changed = lot_rows.change(
            holdings, (*gone.lots, *rest), burned=burned.units
        )
        account = changed.account(
            user_id,
            stamp(now),
            {"total": -gone.units, "remaining": -gone.units},
            _undisturbed(balance, gone.units),
            is_booked=bool(gone.units),
        )
        entries = _entries(user_id, gone, stamp(now))
        after = _without(balance, account)
        return cls(
            account=account,
            closing=(*changed.rows, *(entry.write() for entry in entries)),
            before=balance,
            after=after,
            is_all=not lots_are_due(after, epoch(now)),
            units=gone.units,
        )


def lots_are_due(balance: Balance, now_epoch: int) -> bool:
    """Whether a lot may have expired. Its units count as gone from that second."""
    return 0 < balance.lots_due <= now_epoch


def expire_due(books: Books, user_id: str, balance: Balance) -> None:
    """Let go of all expired lots, each once, even with concurrent requests.

    The caller must read the balance again afterwards.
    """
    for _ in books.store.deadline.attempts(pauses=False):
        if not lots_are_due(balance, epoch(books.clock())):
            return
        expired = ExpiredLots.read(books, user_id, balance)
        try:
            books.store.commit(expired.account, *expired.closing)
        except ConditionFailedError as refused:
            if not _commit_without_booked(books, expired, refused):
                return  # a concurrent request did it, or used units: the caller reads again
        balance = expired.after


def _commit_without_booked(
    books: Books, expired: ExpiredLots, refused: ConditionFailedError
) -> bool:
    """Expire lots whose entries the ledger has already, as after a restore of the balance.

    Returns False where that was not why the write was refused.
    """
    if 0 in refused.old:
        return False  # the account's own condition failed
    booked = {place - 1 for place in refused.old}
    if any(expired.closing[place].table != "ledger" for place in booked):
        return False
    closing = [
        write for place, write in enumerate(expired.closing) if place not in booked
    ]
    books.store.commit(expired.account, *closing)
    return True


def bring_up_to_date(books: Books, user_id: str) -> Balance:
    """Give back expired holds, let go of expired lots, and return the balance after that.

    One call where nothing is due.
    """
    for _ in books.store.deadline.attempts(pauses=False):
        balance, now = read_account(books.store, user_id), epoch(books.clock())
        if hold_expiry.holds_are_due(balance, now):
            hold_expiry.give_back_expired(books, user_id, balance)
        elif lots_are_due(balance, now):
            expire_due(books, user_id, balance)
        else:
            return balance
    raise NotDoneError("more had expired than could be written before the deadline")


def read_to_change(
    books: Books, user_id: str, enough: int = 0, through: str = ""
) -> Holdings:
    """Return an account's lots for a write that changes them, with nothing due.

    They have at least ``enough`` free units, or are all there are. They reach at least to the key
    ``through``. Two calls, and more only where something is due, or more lots are to be burned
    than one transaction can write.
    """
    for _ in books.store.deadline.attempts(pauses=False):
        balance = bring_up_to_date(books, user_id)
        holdings = lot_rows.read(books, user_id, balance, enough, through)
        if not lot_rows.burn_in_parts(books, holdings):
            return holdings
    raise NotDoneError("more lots were to be burned than there was time for")


def as_if_expired(books: Books, user_id: str, balance: Balance) -> Balance:
    """Return the balance that counts now: without expired lots, written or not.

    For those who may only read.
    """
    now = epoch(books.clock())
    if not lots_are_due(balance, now):
        return balance
    holdings = read_steady(books, user_id, balance)
    gone = burning.expire(holdings.lots, now).units
    found = holdings.balance
    return replace(
        found, total=found.total - gone, remaining=found.remaining - gone
    )


def read_steady(
    books: Books, user_id: str, balance: Balance, enough: int = lot_rows.ALL
) -> Holdings:
    """Read lots and a balance of one moment. For those who may only read.

    ``balance`` was read before, and expired holds may count as released in it.
    """
    for _ in range(TRIES_MAX):
        holdings = lot_rows.read(books, user_id, balance, enough)
        again = read_account(books.store, user_id)
        if again.lots_version == balance.lots_version:
            return holdings
        balance = hold_expiry.as_if_given_back(books, user_id, again)
    raise NotDoneError("the account's lots kept changing")


def _first_due(books: Books, user_id: str, now_epoch: int) -> tuple[Lots, Lots]:
    """Return the first lots that are due, and the one after them, if any."""
    found = list(islice(_with_free(books, user_id), EXPIRED_AT_ONCE + 1))
    due = [lot for lot in found[:EXPIRED_AT_ONCE] if lot.has_expired(now_epoch)]
    return tuple(due), tuple(found[len(due) :])


def _with_free(books: Books, user_id: str) -> Iterator[Lot]:
    """Yield the lots with free units, in burn order. Lots that only holds have are not due."""
    after: Item | None = None
    while True:
        page = books.store.query(
            "quotas",
            user_id,
            prefix=PREFIX,
            up_to=LAST,
            after=after,
            limit=PAGE_MAX if after else EXPIRED_AT_ONCE + 1,
        )
        lots = (Lot.from_item(item) for item in page.items)
        yield from (lot for lot in lots if lot.free)
        after = page.after
        if after is None:
            return


def _undisturbed(balance: Balance, units: int) -> tuple[Must, ...]:
    """The lots are due, so no debit comes between: what was used before burns first."""
    same_use = lot_rows.same("used", balance.used)
    enough = (Must("remaining", ">=", units),) if units else ()
    return (equals("lots_due", balance.lots_due), same_use, *enough)


def _without(balance: Balance, account: Write) -> Balance:
    """Return the balance as the account's write leaves it."""
    moved = {
        name: getattr(balance, name) + units
        for name, units in account.add.items()
        if isinstance(units, int)
    }
    due = account.set.get("lots_due", 0)
    return replace(balance, **moved, lots_due=due)


def _entries(user_id: str, gone: Burned, now: str) -> Iterator[Entry]:
    for lot in gone.lots:
        if units := gone.parts.get(lot.key, 0):
            yield Entry(
                user_id,
                expired_id(lot.lot_id),
                "expired",
                -units,
                "lot",
                lot.lot_id,
                now,
            )
