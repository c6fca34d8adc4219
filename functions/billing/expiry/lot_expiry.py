"""Removes the units of expired lots from an account.

A lot is the units of one purchase or grant. Before units are debited or held,
those of expired lots are removed, just as expired holds are released. Each
expired lot gets its own ledger entry.
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
"""How many lots one transaction removes. Each needs a row, an entry and an
event; the account, a debit in the same transaction and the events that it
causes need some more, within DynamoDB's 100.
"""


@dataclass(frozen=True, slots=True)
class ExpiredLots:
    """Holds the writes that remove the units of a batch of expired lots.

    A lot is the units of one purchase or grant. The class has the same fields
    as ExpiredHolds, so that a debit or hold can add either to its own
    transaction.
    """

    account: Write
    """The write to the balance. DynamoDB refuses it if a lot or ``used`` has
    changed since ``before``.
    """
    closing: tuple[Write, ...]
    """The writes of each lot's row and ledger entry."""
    before: Balance
    """The balance that was read."""
    after: Balance
    """The balance without the units of this batch."""
    notices: tuple[Notice, ...]
    """The event ``units.expired`` for each lot."""

    @classmethod
    def read(
        cls, books: Books, user_id: str, balance: Balance
    ) -> "ExpiredLots":
        """Return a batch of expired lots, with the writes that remove them.

        A lot is the units of one purchase or grant. The batch has at most
        EXPIRED_AT_ONCE lots, those that expired first. Nothing is written.
        """
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
    """Return whether the account must be checked for expired lots.

    A lot is the units of one purchase or grant. True means that the balance's
    ``lots_due`` has passed: the time of the first expiry, or an earlier one.
    So True does not prove that a lot has expired; False proves that none has.
    """
    return 0 < balance.lots_due <= now_epoch


def expire_due(books: Books, user_id: str, balance: Balance) -> None:
    """Remove the units of all expired lots, each lot once.

    A lot is the units of one purchase or grant. It stops early if a concurrent
    request changes the account. So the caller must read the balance again, and
    see whether more has expired.
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
    """Commit ``writes`` again, without ledger entries that exist already.

    DynamoDB has refused them all once (``refused``). If existing ledger
    entries were the only cause, the other writes are committed, and the result
    is True. That happens if the balance was restored from an older backup than
    the ledger. Otherwise nothing is written, and the result is False.
    """
    if any(writes[place].table != "ledger" for place in refused.old):
        return False
    others = [
        write for place, write in enumerate(writes) if place not in refused.old
    ]
    books.store.commit(*others)
    return True


def _first_due(books: Books, user_id: str, now_epoch: int) -> tuple[Lots, Lots]:
    """Return the expired lots, and the other lots that were read with them.

    A lot is the units of one purchase or grant. Only lots with free units are
    read, the first to expire first, and at most one more than EXPIRED_AT_ONCE.
    So more lots may have expired. Either tuple may be empty.
    """
    found = list(islice(_with_free(books, user_id), EXPIRED_AT_ONCE + 1))
    due = [lot for lot in found[:EXPIRED_AT_ONCE] if lot.has_expired(now_epoch)]
    return tuple(due), tuple(found[len(due) :])


def _with_free(books: Books, user_id: str) -> Iterator[Lot]:
    """Yield the lots that have units outside holds, first to expire first.

    A lot is the units of one purchase or grant. Lots whose units are all in
    holds are left out: they are not removed before the hold ends.
    """
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
    """Return the conditions for removing ``units`` of expired lots.

    A lot is the units of one purchase or grant. In the stored balance, the
    used units and the time of the next lot's expiry must be as in ``balance``,
    and at least ``units`` must remain. Otherwise units that were used in time
    could be removed as expired.
    """
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
