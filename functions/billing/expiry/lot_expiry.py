"""Lets go of units whose time is over.

A lot that is due stops debits and holds, as an expired hold does. Who comes first takes its units
off the account, with one ledger entry for each lot.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from billing.books import Books
from billing.clock import epoch, stamp
from billing.errors import ConditionFailedError, Item
from billing.lots import burning
from billing.lots.burning import Burned, Lots
from billing.lots.listed import shown
from billing.lots.lot import LAST, PREFIX, Lot
from billing.notices.notice import Notice, tell
from billing.quota import lot_changes
from billing.quota.balance import Balance
from billing.quota.ledger import Entry, expired_id
from billing.quota.lot_rows import Holdings
from billing.storage.reader import PAGE_MAX
from billing.storage.writes import Must, Write, equals

EXPIRED_AT_ONCE: Final = 30
"""Lots that expire in one transaction: a row, an entry and an event each, beside the account, what
is taken with it and what that crosses, within DynamoDB's 100."""


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
    notices: tuple[Notice, ...]
    """One for each lot."""

    @classmethod
    def read(
        cls, books: Books, user_id: str, balance: Balance
    ) -> "ExpiredLots":
        """Read the lots that expired first, at most EXPIRED_AT_ONCE. Nothing is written."""
        now = books.clock()
        due, rest = _first_due(books, user_id, epoch(now))
        holdings = Holdings(user_id, balance, (*due, *rest), is_all=False)
        burned = burning.burn(due, holdings.to_burn)
        gone = burning.expire(burned.lots, epoch(now))
        changed = lot_changes.change(
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
        return cls(
            account=account,
            closing=(*changed.rows, *(entry.write() for entry in entries)),
            before=balance,
            after=balance.after(account),
            notices=tuple(_notices(gone)),
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
        account, *told = tell(
            books,
            user_id,
            balance,
            expired.account,
            now=books.clock(),
            notices=expired.notices,
        )
        writes = (account, *expired.closing, *told)
        try:
            books.store.commit(*writes)
        except ConditionFailedError as refused:
            if not _commit_without_booked(books, writes, refused):
                return  # a concurrent request did it, or used units: the caller reads again
        balance = balance.after(account)


def _commit_without_booked(
    books: Books, writes: Sequence[Write], refused: ConditionFailedError
) -> bool:
    """Expire lots whose entries the ledger has already, as after a restore of the balance.

    Returns False where that was not why the write was refused.
    """
    if any(writes[place].table != "ledger" for place in refused.old):
        return False
    others = [
        write for place, write in enumerate(writes) if place not in refused.old
    ]
    books.store.commit(*others)
    return True


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
    same_use = lot_changes.same("used", balance.used)
    enough = (Must("remaining", ">=", units),) if units else ()
    return (equals("lots_due", balance.lots_due), same_use, *enough)


def _notices(gone: Burned) -> Iterator[Notice]:
    for lot in gone.lots:
        if lot.key in gone.parts:
            yield Notice("units.expired", shown(lot))


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
