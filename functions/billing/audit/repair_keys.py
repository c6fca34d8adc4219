"""Repairs the use of API keys after a restore of some tables.

The ledger is taken as right. A balance that was restored to an earlier time
lacks what an API key has used since, although ledger entries show it. A
restored table of keys lacks what was used by keys that were revoked since.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from billing.errors import ConditionFailedError, OutcomeUnknownError
from billing.quota.balance import Balance
from billing.quota.key_bookmarks import (
    BUMP,
    Bookmark,
    Uses,
    pin,
    read_both,
    write_uses,
)
from billing.quota.key_totals import NAMES, name_row
from billing.quota.key_use import gone, left, name_of, used
from billing.reconciliation.job import Run
from billing.storage.keys import user_key
from billing.storage.writes import Write, equals


def repair_keys(job: Run, user_id: str) -> Iterator[str]:
    """Repair the use of each of an account's API keys.

    Yields a sentence for each key that was repaired. Without
    ``job.repair`` nothing is written.
    """
    store = job.books.store
    booked = Counter[str]()
    for row in store.pages("ledger", user_id):
        booked.update(row.get("by_key", {}))
    revoked = {
        row["key_id"]: row.get("used", 0)
        for row in store.pages("keys", user_key(user_id), NAMES)
    }
    _, uses = read_both(store, user_id)
    known = [mark.key_id for mark in uses.live.values()]
    for key_id in sorted({*booked, *revoked, *known}):
        shown = booked[key_id]
        yield from _repair(job, user_id, key_id, shown, revoked.get(key_id, 0))


def _repair(
    job: Run, user_id: str, key_id: str, booked: int, revoked: int
) -> Iterator[str]:
    """Correct an API key's stored use. Yield a sentence if it was wrong.

    Without ``job.repair`` nothing is written. ``booked`` is how many units the
    ledger shows for the key. ``revoked`` is how many are stored in the row of
    its own that a revoked key has, or 0.

    The right numbers come from the ledger and from ``more``, stored in the
    user's row ``uses``: past use of the key that is in no ledger entry yet.
    A revoked key's row must have ``booked + more``. A live key's use at the
    start of the day must be ``booked + more - revoked``. Raises
    OutcomeUnknownError if the account keeps changing until the deadline.
    """
    store, name = job.books.store, name_of(key_id)
    store.deadline.begin()
    writes: tuple[Write, ...]
    for _ in store.deadline.attempts():
        balance, uses = read_both(store, user_id)
        counter = _counter(balance, name)
        if counter and name in uses.live:
            change = _recount(
                balance, uses.live[name], counter, booked - revoked
            )
            found, right = change.before, change.after
            writes = change.writes(user_id, balance)
        else:
            more = uses.revoked.get(name, Bookmark(key_id)).more
            found, right = (revoked, 0), (booked + more, 0)
            writes = _rewrite(user_id, balance, uses, key_id, booked + more)
        if found == right:
            return
        try:
            if job.repair:
                store.commit(*writes)
        except ConditionFailedError:
            continue
        yield f"{key_id}: {sum(found)} units were counted, now {sum(right)}, by the ledger"
        return
    message = f"the account {user_id} kept changing until the deadline"
    raise OutcomeUnknownError(message)


def _counter(balance: Balance, name: str) -> str:
    """Return the name of the balance's attribute with an API key's use.

    ``name`` is a short hash of the key's id, which is part of the attribute's
    name. Returns "" if the balance has no such attribute.
    """
    return next(
        (one for one in (used(name), gone(name)) if one in balance.keys), ""
    )


class _Recount(NamedTuple):
    """An API key's counter and bookmark, before and after a repair.

    The counter is what the key has ever used. The bookmark is what it had used
    when the day and the month began.
    """

    counter: str
    mark: Bookmark
    right: Bookmark
    used: int
    used_right: int

    @property
    def before(self) -> tuple[int, int]:
        """Return the API key's use as it was stored, before the repair.

        The first number is the units used before the day began, and the second
        those used since then.
        """
        return self.mark.day, self.used - self.mark.day

    @property
    def after(self) -> tuple[int, int]:
        """Return the API key's use as it should be, after the repair.

        The first number is the units used before the day began, and the second
        those used since then.
        """
        return self.right.day, self.used_right - self.right.day

    def writes(self, user_id: str, balance: Balance) -> tuple[Write, ...]:
        """Return the writes that correct an API key's figures.

        They are the key's counter, its bookmark (what it had used when the day
        and the month began), and what is left of its limit.
        """
        name, per = self.counter[1:], self.mark.per
        add = {**BUMP, self.counter: self.used_right - self.used}
        if per and left(name) in balance.keys:
            in_window = self.used - self.mark.base(per)
            add[left(name)] = in_window - (
                self.used_right - self.right.base(per)
            )
        must = (pin(balance), equals(self.counter, self.used))
        account = Write("quotas", (user_id, "quota"), add=add, must=must)
        return account, write_uses(user_id, {name: self.right})


def _recount(
    balance: Balance, mark: Bookmark, counter: str, booked: int
) -> _Recount:
    """Return an API key's counter and bookmark, as stored and as they must be.

    The counter (the balance's attribute ``counter``) is all that the key ever
    used. The bookmark, ``mark``, is what it had used when the day and the
    month began. By the ledger, its use before the day began is ``booked``, its
    units in ledger entries, plus ``mark.more``, its earlier use that is in no
    entry yet. Its use since then stays as counted, but no more than the whole
    account has used since its last entry.
    """
    total, day = balance.keys[counter], booked + mark.more
    since = min(max(0, total - day), balance.used - balance.itemised)
    used_right = day + since
    right = replace(mark, day=day, month=min(mark.month, used_right))
    return _Recount(counter, mark, right, total, used_right)


def _rewrite(
    user_id: str, balance: Balance, uses: Uses, key_id: str, total: int
) -> tuple[Write, ...]:
    """Return the writes that correct the stored use of a revoked API key.

    They set the use in the key's own row to ``total`` units. DynamoDB refuses
    them if one of the user's keys has changed since ``balance`` was read.
    """
    account = Write(
        "quotas", (user_id, "quota"), add=BUMP, must=(pin(balance),)
    )
    row = Write(
        "keys",
        name_row(user_id, name_of(key_id)),
        set={"key_id": key_id, "used": total},
    )
    return account, write_uses(user_id, {}, uses.revoked), row
