"""Takes units from an account by a conditional write, for debits and holds, with retries.

A write that crosses no threshold of the account is a single one, whose condition says that it
crosses none. The write that does cross one is a transaction with what it tells and opens.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeVar, assert_never

from billing.books import Books
from billing.clock import day, epoch, stamp
from billing.errors import BillingError, ConditionFailedError, NotDoneError
from billing.notices.notice import tell
from billing.quota import daily_usage, upkeep
from billing.quota.balance import Balance, Movement, exactly, read_account
from billing.quota.key_use import (
    KeyLimitReachedError,
    KeyNotCountedError,
    KeyUse,
    left,
    moved,
    spend,
    used,
)
from billing.quota.upkeep import Expired
from billing.storage.writes import Must, Write, absent_or, equals

EXACT_TRIES: Final = 2
"""How often a transaction insists on an exact ``remaining`` before it accepts one that is a moment
old."""
UNSEEN: Final = Balance(remaining=sys.maxsize)
"""What is assumed of an account that this container has not seen: it has the template's thresholds
and is far from all of them. The write is refused where that is wrong."""
SEEN_MAX: Final = 1000
"""Accounts that a container remembers."""
Into = Literal["used", "held"]
"""Where units go when they are taken from ``remaining``: a debit uses them, a hold holds them."""
_Answer = TypeVar("_Answer")


class Meter(NamedTuple):
    """The books, and the address where a customer can buy units."""

    books: Books
    top_up_url: str


@dataclass(frozen=True, slots=True)
class Taking:
    """Units to take from an account, and what else that write must demand and do.

    Whatever a feature asks of every debit or hold is a clause or an addition here, so that a plain
    debit stays one write.
    """

    user_id: str
    units: int
    into: Into
    key: KeyUse | None = None
    """Counted for this API key, and refused at its limit."""
    at_least: int = 0
    """Where it is above zero, as many units as there are will do, if they are so many."""
    clauses: tuple[Must, ...] = ()
    """What must hold on the account beside what every taking demands."""

    @property
    def least(self) -> int:
        """Return the smallest number of units that is acceptable."""
        return self.at_least or self.units

    @property
    def of_key(self) -> Movement:
        """Return the additions to the key's counters, and their conditions."""
        return spend(self.key, self.units, is_use=self.into == "used")

    def as_in(
        self,
        balance: Balance,
        *,
        is_exact: bool,
        stored: Balance | None = None,
    ) -> "Taking":
        """Return what is taken from this balance: the key as it is there, and units that fit.

        ``is_exact``: fewer units than asked for are taken only if the key's limit still leaves
        exactly those. ``stored`` is the balance as the table has it, where ``balance`` counts holds
        as released that this write releases.
        """
        key = self.key and self.key.as_in(balance)
        seen = replace(self, key=key)
        if not self.at_least:
            return seen
        most = min(self.units, units_left(balance, key))
        units = max(self.at_least, most)
        if key and key.is_limited and is_exact and units < self.units:
            counter = left(key.name)
            same = equals(counter, (stored or balance).keys[counter])
            return replace(seen, units=units, clauses=(*self.clauses, same))
        return replace(seen, units=units)


def units_left(balance: Balance, key: KeyUse | None) -> int:
    """Return the units that a key, or a user without a key, can take."""
    if key is None or not key.is_limited:
        return balance.remaining
    return min(balance.remaining, balance.keys[left(key.name)])


class Attempt(NamedTuple):
    """One attempt: its write to the account, the rows beside it, and the balance that it assumes.

    All or nothing; ``beside`` is empty where no hold has expired and no threshold is crossed::

        0    user, quota         remaining -= units           see take, take_and_release
                                 told += events               if no event was told since
        ..   user, hold#         delete, for each expired     if it is still open
        ..   user, closed#       state = expired              if there is none
        ..   user, lot#          without what has expired     if it is as it was read
        ..   ledger, expired:lot what has expired of it       if it is not booked
        ..   user, 000000000007# an event out, for each
        ..   user, top_up        the open charge              if the agreement is as it was read
        ..   user#, pay_         its payment                  if there is none
    """

    account: Write
    """Takes the units, and releases ``expired`` if there are any."""
    balance: Balance
    """The account before the units are taken, with ``expired`` released already."""
    now: datetime
    expired: Expired | None
    taking: Taking
    """With the units that are taken, and the key as the balance shows it."""
    crossed: tuple[Write, ...] = ()
    """What the write tells and opens, because it crosses a threshold of the account."""

    def of_same_remaining(self) -> "Attempt":
        """Return the attempt that demands the exact ``remaining`` of its balance."""
        if self.expired:
            return self  # it does already
        same = equals("remaining", self.balance.remaining)
        return self._replace(account=_demand(self.account, same))

    def left(self, balance: Balance) -> Balance:
        """Return the balance after this attempt."""
        told = balance.told + _units(self.account, "told")
        return replace(taken_from(balance, self.taking), told=told)

    @property
    def beside(self) -> tuple[Write, ...]:
        """Return the other writes of the same transaction."""
        closing = self.expired.closing if self.expired else ()
        return (*closing, *self.crossed)

    @property
    def opens_charge(self) -> bool:
        """Whether an automatic charge is opened: its payment is written."""
        return any(write.table == "payments" for write in self.crossed)


Transaction = Callable[[Attempt], tuple[_Answer, Balance]]
"""Commits an attempt beside its own rows; returns the answer and the balance afterwards."""
_seen: dict[str, Balance] = {}


def take(taking: Taking, now: datetime) -> Write:
    """Return the write that moves units from ``remaining`` into ``used`` or ``held``.

    DynamoDB refuses it if too few units remain, if a hold or a lot has expired, or if a new day has
    begun.
    """
    units, of_key = taking.units, taking.of_key
    enough = Must("remaining", ">=", units)
    no_hold_is_due = absent_or("holds_due", ">", epoch(now))
    no_lot_is_due = absent_or("lots_due", ">", epoch(now))
    return Write(
        "quotas",
        (taking.user_id, "quota"),
        set={"updated_at": stamp(now)},
        add={"remaining": -units, taking.into: units, **of_key.add},
        must=(
            enough,
            no_hold_is_due,
            no_lot_is_due,
            _day_has_begun(now),
            *of_key.must,
            *taking.clauses,
        ),
    )


def take_and_release(expired: Expired, taking: Taking, now: datetime) -> Write:
    """Return one write that releases what has expired and then takes the units.

    DynamoDB refuses it if the account has changed since ``expired`` was read.
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
            _day_has_begun(now),
            *of_key.must,
            *taking.clauses,
        ),
    )


def _net(account: Write, of_key: Movement) -> Movement:
    """Return a key's movement, with what the same write gives back to its limit."""
    back = {name: _units(account, name) for name in of_key.add}
    add = {name: units + back[name] for name, units in of_key.add.items()}
    must = (
        clause._replace(value=clause.value - back[clause.name])
        for clause in of_key.must
    )
    return Movement(add, tuple(must))


def _units(account: Write, name: str) -> int:
    units = account.add.get(name, 0)
    return units if isinstance(units, int) else 0


def taken_from(balance: Balance, taking: Taking) -> Balance:
    """Return a balance after the units are taken from it."""
    units = taking.units
    remaining = balance.remaining - units
    match taking.into:
        case "used":
            after = replace(
                balance, used=balance.used + units, remaining=remaining
            )
        case "held":
            after = replace(
                balance, held=balance.held + units, remaining=remaining
            )
        case _:
            assert_never(taking.into)
    return moved(after, taking.of_key)


def release_before_taking(
    meter: Meter, taking: Taking, balance: Balance
) -> Expired | None:
    """Release expired holds and lots, except the last batch, and return that batch.

    The caller releases it in the write that takes the units. Returns None if nothing has expired.
    There is no pause between batches, because each makes progress.
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


def look_again(
    meter: Meter, taking: Taking, refused: ConditionFailedError
) -> Balance:
    """Return the present balance after DynamoDB refused a write.

    Raises ``quota_exhausted`` if that is why, and KeyNotCountedError or KeyLimitReachedError where
    it is the key. Begins the day if that is due.
    """
    books, user_id, units = meter.books, taking.user_id, taking.least
    now = books.clock()
    if 0 in refused.old:
        balance = Balance.from_item(refused.old[0])
    else:
        balance = read_account(books.store, user_id)
    if taking.key and used(taking.key.name) not in balance.keys:
        raise KeyNotCountedError
    is_due = upkeep.is_due(balance, epoch(now))
    if balance.remaining < units and not is_due:
        detail = f"{units} units were asked for and {balance.remaining} remain; nothing was taken"
        raise BillingError(
            "quota_exhausted",
            detail,
            remaining=balance.remaining,
            top_up_url=meter.top_up_url,
        )
    if balance.use_day < day(now):
        daily_usage.itemise(books, user_id, balance)
        if balance.keys:  # their limits may have begun a new window
            balance = read_account(books.store, user_id)
    if taking.key and not is_due:
        _check_limit(balance, taking.key, units)
    return balance


def _check_limit(balance: Balance, key: KeyUse, units: int) -> None:
    """Raise KeyLimitReachedError if the key's limit leaves less than ``units``."""
    units_left_of_limit = balance.keys.get(left(key.name))
    if units_left_of_limit is not None and units_left_of_limit < units:
        raise KeyLimitReachedError(units_left_of_limit)


def take_in_transaction(
    meter: Meter, taking: Taking, transaction: Transaction[_Answer]
) -> _Answer:
    """Take units in a transaction that writes other rows too, and return its answer.

    DynamoDB does not return what remains after a transaction, so the answer is computed from a
    balance that was seen before. There are two phases:

    1. Optimistic, the first EXACT_TRIES: the write also demands the exact ``remaining`` that was
       seen. With the balance of this container's last call, that is one call in all.
    2. Only enough: the write demands that the units are there. The answer's ``remaining`` may be a
       moment old. Exact writes would keep losing the race on an account with many concurrent
       requests, and each refused transaction keeps the others off the account.
    """
    store, user_id = meter.books.store, taking.user_id
    balance = recall(user_id) or read_account(store, user_id)
    exact_tries = EXACT_TRIES
    for _ in store.deadline.attempts():
        is_exact = exact_tries > 0
        try:
            attempt = prepare(meter, taking, balance, is_exact=is_exact)
            if is_exact:
                attempt = attempt.of_same_remaining()
            answer, left = transaction(attempt)
        except ConditionFailedError as refused:
            exact_tries -= 1
            balance = look_again(meter, taking, refused)
        except NotDoneError:
            if (
                is_exact
            ):  # a concurrent request was at it: what was seen is stale by now
                exact_tries = 0
                balance = read_account(store, user_id)
        else:
            if is_exact or attempt.expired:
                remember(user_id, left)
            hurry_charge(meter, attempt)
            return answer
    raise NotDoneError(
        "the account kept changing until the deadline; nothing was taken"
    )


def prepare(
    meter: Meter, taking: Taking, balance: Balance | None, *, is_exact: bool
) -> Attempt:
    """Release what has expired, and build the writes of one try.

    Without a balance, the write itself finds out about expired holds and crossed thresholds.
    ``is_exact``: what it tells shows the quota exactly as it is afterwards.
    """
    now = meter.books.clock()
    if balance and balance.lots_exact and taking.into == "held":
        # The hold changes lots itself, so what is due is not a part of the same write.
        balance = upkeep.bring_up_to_date(meter.books, taking.user_id, balance)
    expired = release_before_taking(meter, taking, balance) if balance else None
    if expired:
        taking = taking.as_in(
            expired.after, is_exact=is_exact, stored=expired.before
        )
        account = take_and_release(expired, taking, now)
        before, after = expired.before, expired.after
    else:
        taking = taking.as_in(balance, is_exact=is_exact) if balance else taking
        account = take(taking, now)
        before = after = balance or UNSEEN
    account, *crossed = tell(
        meter.books,
        taking.user_id,
        before,
        account,
        now=now,
        notices=expired.notices if expired else (),
        returned=max(0, after.remaining - before.remaining),
    )
    if crossed and is_exact:
        account = _demand(account, *_as_seen(before))
    return Attempt(account, after, now, expired, taking, tuple(crossed))


def _as_seen(balance: Balance) -> tuple[Must, ...]:
    """Return the clauses under which an event shows the quota exactly as it is afterwards.

    Later tries do without: their ``remaining`` still lies between the same thresholds, so that the
    same is crossed once, and only the figures that the event shows may be a moment old.
    """
    return (
        exactly("remaining", balance.remaining),
        exactly("used", balance.used),
        exactly("held", balance.held),
    )


def _demand(account: Write, *clauses: Must) -> Write:
    return account._replace(must=(*account.must, *clauses))


def hurry_charge(meter: Meter, attempt: Attempt) -> None:
    """Ask for the charge that this attempt has opened. A debit never waits for it."""
    if attempt.opens_charge:
        meter.books.top_ups.hurry(attempt.taking.user_id)


def recall(user_id: str) -> Balance | None:
    """Return the balance that this container saw last, if any, and forget it.

    Callers remember the balance again only if it is still right.
    """
    return _seen.pop(user_id, None)


def remember(user_id: str, balance: Balance) -> None:
    """Keep a balance as a guess for the next call. The write's condition checks the guess."""
    while len(_seen) >= SEEN_MAX:
        _seen.pop(next(iter(_seen)))
    _seen[user_id] = balance


def _day_has_begun(now: datetime) -> Must:
    """The last day's use is itemised, so ``used`` grows by today's use only."""
    return Must("use_day", ">=", day(now))
