"""Reads expired holds, and computes the balance as if they were released."""

from collections.abc import Sequence
from dataclasses import replace

from billing.books import Books
from billing.clock import epoch
from billing.errors import Item, NotDoneError
from billing.quota.balance import Balance, read_account
from billing.quota.key_use import give_back, held_by_key, moved
from billing.quota.movement import come_in


def holds_are_due(balance: Balance, now_epoch: int) -> bool:
    """Return whether the account must be checked for expired holds.

    True means that the balance's ``holds_due`` has passed: the time of the
    first expiry, or an earlier one. So True does not prove that a hold has
    expired; False proves that none has.
    """
    return 0 < balance.holds_due <= now_epoch


def with_released(balance: Balance, rows: Sequence[Item]) -> Balance:
    """Return the balance after the holds in ``rows`` are released."""
    units = sum(row["units"] for row in rows)
    balance = moved(balance, give_back(balance, held_by_key(rows)))
    back = come_in(balance, units).add
    return replace(
        balance,
        held=balance.held - units,
        remaining=balance.remaining + back["remaining"],
        debt=balance.debt + back.get("debt", 0),
    )


def as_if_given_back(books: Books, user_id: str, balance: Balance) -> Balance:
    """Return the balance with expired holds counted as released.

    It writes nothing, so functions without permission to write can use it.
    """
    for _ in books.store.deadline.attempts():
        now = epoch(books.clock())
        if not holds_are_due(balance, now):
            return balance
        rows, seen = _expired(books, user_id, now)
        units = sum(row["units"] for row in rows)
        if _same_holds(balance, seen) and units <= balance.held:
            return with_released(balance, rows)
        # A concurrent request released them: the rows and the balance are of two moments.
        balance = seen
    raise NotDoneError("the account's holds kept changing until the deadline")


def expired_holds(books: Books, user_id: str, now_epoch: int) -> list[Item]:
    """Return the rows of all expired holds of a user."""
    found: list[Item] = []
    after: Item | None = None
    while True:
        page = books.store.query("quotas", user_id, prefix="hold#", after=after)
        expired = [row for row in page.items if row["expires_at"] <= now_epoch]
        found += expired
        after = page.after
        if len(expired) < len(page.items) or after is None:
            return found


def _expired(
    books: Books, user_id: str, now_epoch: int
) -> tuple[list[Item], Balance]:
    """Return the rows of a user's expired holds, and the balance.

    One query reads both: the rows of holds sort by expiry, and the
    balance's row comes after them.
    """
    found: list[Item] = []
    after: Item | None = None
    while True:
        page = books.store.query(
            "quotas", user_id, prefix="hold#", up_to="quota", after=after
        )
        account = next(
            (row for row in page.items if row["item"] == "quota"), None
        )
        holds = [row for row in page.items if row["item"].startswith("hold#")]
        expired = [row for row in holds if row["expires_at"] <= now_epoch]
        found += expired
        if len(expired) < len(page.items) or page.after is None:
            if account is None:
                return found, read_account(books.store, user_id)
            return found, Balance.from_item(account)
        after = page.after


def _same_holds(one: Balance, other: Balance) -> bool:
    return (one.held, one.holds_due, one.holds_placed) == (
        other.held,
        other.holds_due,
        other.holds_placed,
    )
