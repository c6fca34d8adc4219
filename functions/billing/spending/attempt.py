"""Builds one attempt to take units from an account.

An attempt has writes, and the balance on which they are based. If DynamoDB
refuses it, the next one is built from the stored balance.
"""

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
    """Holds the writes of one try to take units, and the balance they assume.

    DynamoDB makes all writes or none. The first one is ``account``, and the
    others are ``beside``, which is empty if no hold or lot (units of one
    purchase or grant) has expired and no threshold is crossed. The event
    number counts the account's events to the seller. The functions ``take``
    and ``take_and_release`` give the first write's conditions::

                 table     range key  writes                   if
            0    quotas    quota      takes the units, raises  see take and
                                      the event number         take_and_release
            ..   quotas    hold#      deletes an expired hold  it is still open
            ..   quotas    closed#    says that it expired     there is none
            ..   quotas    lot#       removes expired units    unchanged
            ..   ledger    expired:   the lot's ledger entry   there is none
            ..   notices   number     an event to the seller
            ..   quotas    top_up     notes the open charge    unchanged
            ..   payments  pay_       the charge's payment     there is none
    """

    account: Write
    """The write to the balance: takes the units, and releases what has
    expired.
    """
    balance: Balance
    """The balance before the units are taken, with ``expired`` already
    released.
    """
    now: datetime
    expired: Expired | None
    taking: Taking
    """The units that are really taken. Its API key is limited or not as the
    balance shows.
    """
    crossed: tuple[Write, ...] = ()
    """The events and the charge that are written because the attempt crosses a
    threshold.
    """

    def of_same_remaining(self) -> "Attempt":
        """Return this attempt, on condition that ``remaining`` is unchanged.

        ``remaining`` is the account's units that can be spent. DynamoDB
        refuses the attempt if they have changed since the balance was read.
        """
        if self.expired:
            return self  # it does already
        same = equals("remaining", self.balance.remaining)
        return self._replace(account=_demand(self.account, same))

    def left(self, balance: Balance) -> Balance:
        """Return ``balance`` after this attempt has taken its units.

        The number of the account's last event to the seller is raised too, if
        the attempt writes events.
        """
        told = balance.told + added(self.account, "told")
        return replace(taken_from(balance, self.taking), told=told)

    @property
    def beside(self) -> tuple[Write, ...]:
        """Return the transaction's writes, without that of the balance.

        They end expired holds, remove expired units, store events to the
        seller and open an automatic charge, as far as needed. Often there are
        none.
        """
        closing = self.expired.closing if self.expired else ()
        return (*closing, *self.crossed)

    @property
    def opens_charge(self) -> bool:
        """Return whether this attempt's writes open an automatic charge.

        They do if they include the new payment of such a charge.
        """
        return any(write.table == "payments" for write in self.crossed)


def prepare(
    meter: Meter, taking: Taking, balance: Balance | None, *, is_exact: bool
) -> Attempt:
    """Return an Attempt: the writes that take units, which are not made yet.

    Expired holds and lots (units of one purchase or grant) come first. All but
    the last batch are released now, and that batch by the attempt itself.
    ``taking`` says how many units to take. If that crosses a threshold (of
    ``quota.low`` or of automatic top-ups), the attempt also stores an event to
    the seller or opens a charge. With ``is_exact``, DynamoDB refuses it then
    unless the event shows the quota exactly as it is after the write.

    Without ``balance`` nothing is known of the account: DynamoDB refuses the
    attempt if a hold or lot has expired or if a threshold is crossed.
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
    """Return the conditions that the balance's figures are as in ``balance``.

    An event to the seller shows these figures. The first attempts to take
    units require that they are exact. Later attempts do not, so that they
    succeed on a busy account, and the event may show slightly old figures.
    """
    return (
        exactly("remaining", balance.remaining),
        exactly("used", balance.used),
        exactly("held", balance.held),
    )


def _demand(account: Write, *clauses: Must) -> Write:
    return account._replace(must=(*account.must, *clauses))
