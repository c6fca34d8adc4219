"""Releases expired holds, each exactly once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from billing.books import Books
from billing.clock import epoch, stamp
from billing.errors import ConditionFailedError, Item
from billing.expiry.due_holds import holds_are_due
from billing.notices.notice import Notice, tell
from billing.quota import lot_burning, lot_holds
from billing.quota.balance import Balance
from billing.quota.key_use import give_back, held_by_key
from billing.quota.lot_holds import Closed
from billing.quota.movement import come_in
from billing.storage.writes import Write, creates, equals, exists

EXPIRED_AT_ONCE: Final = 46
"""How many holds one transaction releases. Each needs two writes, and the
account, a debit in the same transaction and the events that it causes need
some, within DynamoDB's 100.
"""
CLOSED_KEPT_SECONDS: Final = 30 * 24 * 3600
"""How long a closed hold is remembered. Until then a repeated capture or
release gets the same answer, and a different one gets ``hold_closed``.
Afterwards the answer is ``not_found``.
"""
State = Literal["captured", "released", "expired"]
"""How a hold ended."""


@dataclass(frozen=True, slots=True)
class ExpiredHolds:
    """A batch of expired holds, with the writes that release them."""

    account: Write
    """The write to the balance. DynamoDB refuses it if a hold was placed or
    released since ``before``, or if the debt has changed.
    """
    closing: tuple[Write, ...]
    """The writes that close each hold. DynamoDB refuses them if a concurrent
    request has closed it.
    """
    before: Balance
    """The balance that was read."""
    after: Balance
    """The balance after this batch is released."""
    notices: tuple[Notice, ...] = ()
    """Events for units that expired with their lot while a hold had them."""

    @classmethod
    def read(
        cls, books: Books, user_id: str, balance: Balance
    ) -> "ExpiredHolds":
        """Return a batch of expired holds, with the writes that release them.

        The batch has at most EXPIRED_AT_ONCE holds, those that expired first.
        Nothing is written.
        """
        now = books.clock()
        page = books.store.query(
            "quotas", user_id, prefix="hold#", limit=EXPIRED_AT_ONCE + 1
        )
        rows = page.items  # sorted by expiry
        expired = [
            row
            for row in rows[:EXPIRED_AT_ONCE]
            if row["expires_at"] <= epoch(now)
        ]
        balance, expired, closed = _close(books, user_id, balance, expired)
        next_due = (
            rows[len(expired)]["expires_at"] if len(rows) > len(expired) else 0
        )
        account = _release(user_id, balance, expired, closed.back, stamp(now))
        account = closed.beside(_note_due(account, next_due))
        closing = tuple(
            write
            for row in expired
            for write in close(row, "expired", 0, epoch(now))
        )
        return cls(
            account=account,
            closing=(*closing, *closed.change.rows, *closed.entries),
            before=balance,
            after=balance.after(account),
            notices=closed.notices,
        )


def _close(
    books: Books, user_id: str, balance: Balance, rows: list[Item]
) -> tuple[Balance, list[Item], Closed]:
    """Compute how lots change when the expired holds in ``rows`` are released.

    A lot is the units of one purchase or grant. Returns the balance as read,
    those holds that fit into one transaction, and the change of their lots.
    Lots are read only if the account ever had units that expire or were
    granted.
    """
    if not rows or not balance.lots_exact:
        units = sum(row["units"] for row in rows)
        return balance, rows, lot_holds.close_without_lots(balance, units)
    few = rows[: lot_holds.how_many(rows)]
    through = lot_holds.through(few)
    holdings = lot_burning.read_burnable(
        books, user_id, balance, through=through
    )
    closed = lot_holds.close(holdings, few, 0, books.clock())
    # The holds were read before lots were burned: the write is refused if others came meanwhile.
    seen = replace(
        holdings.balance,
        holds_due=balance.holds_due,
        holds_placed=balance.holds_placed,
    )
    return seen, few, closed


def _release(
    user_id: str, seen: Balance, rows: Sequence[Item], back: int, now: str
) -> Write:
    """Return the write to the balance that releases the holds in ``rows``.

    ``seen`` is the balance as it was read. The write takes all of the holds'
    units off ``held``, and adds ``back`` units that can be spent again. The
    other units have expired with their lot, or belong to a voided grant.
    """
    units = sum(row["units"] for row in rows)
    movement, of_keys = come_in(seen, back), give_back(seen, held_by_key(rows))
    return Write(
        "quotas",
        (user_id, "quota"),
        set={"updated_at": now},
        add={"held": -units, **movement.add, **of_keys.add},
        must=(
            equals("holds_due", seen.holds_due),
            equals("holds_placed", seen.holds_placed),
            *movement.must,
            *of_keys.must,
        ),
    )


def _note_due(account: Write, next_due: int) -> Write:
    """Return ``account`` with ``holds_due`` set to ``next_due``.

    ``account`` is a write of the balance's row. ``next_due`` is the time at
    which the next hold expires. With 0 the attribute is removed, as there is
    no other hold.
    """
    if next_due:
        return account._replace(set={**account.set, "holds_due": next_due})
    return account._replace(remove=("holds_due",))


def give_back_expired(books: Books, user_id: str, balance: Balance) -> None:
    """Release all expired holds, each exactly once, also in a race with concurrent requests.

    The caller must read the balance again afterwards.
    """
    for _ in books.store.deadline.attempts(pauses=False):
        if not holds_are_due(balance, epoch(books.clock())):
            return
        expired = ExpiredHolds.read(books, user_id, balance)
        account, *told = tell(
            books,
            user_id,
            expired.before,
            expired.account,
            now=books.clock(),
            notices=expired.notices,
        )
        try:
            books.store.commit(account, *expired.closing, *told)
        except ConditionFailedError:
            # a concurrent request released them, or placed a hold: the caller reads again
            return
        balance = expired.before.after(account)


def close(
    row: Item, state: State, captured: int, now_epoch: int
) -> tuple[Write, Write]:
    """Return the writes that replace an open hold's row by a closed one.

    Both are in one transaction, so only one of several concurrent requests can
    close a hold. ``state`` says how it ended, and ``captured`` how many of its
    units were used. The closed row keeps the result for repeats.
    """
    user_id, item = row["user_id"], row["item"]
    closed = {
        "state": state,
        "units": row["units"],
        "captured": captured,
        "ttl": max(now_epoch, row["expires_at"]) + CLOSED_KEPT_SECONDS,
    }
    still_open = (exists("user_id"), equals("units", row["units"]))
    return (
        Write("quotas", (user_id, item), delete=True, must=still_open),
        creates(
            "quotas", (user_id, item.replace("hold#", "closed#", 1)), closed
        ),
    )
