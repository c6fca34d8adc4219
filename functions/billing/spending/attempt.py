"""Builds one attempt to take units: its writes, and the balance that they assume."""

from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from billing.expiry import upkeep
from billing.expiry.upkeep import Expired
from billing.notices.notice import tell
from billing.quota.balance import Balance
from billing.quota.movement import exactly
from billing.spending.memory import UNSEEN
from billing.spending.meter import Meter
from billing.spending.release import (
    added,
    release_before_taking,
    take_and_release,
)
from billing.spending.taking import Taking, take, taken_from
from billing.storage.writes import Must, Write, equals


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
        told = balance.told + added(self.account, "told")
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
