"""Books a grant: units given to a customer or taken away, once per grant id.

The API, an operator and the welcome units use the same code.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from billing.books import Books
from billing.clock import epoch, stamp
from billing.errors import ConditionFailedError, OutcomeUnknownError
from billing.expiry import upkeep
from billing.grants.grant import Grant, GrantError
from billing.grants.grant_answers import answer_of, as_answer, conflict, repeat
from billing.lots import burning
from billing.lots.listed import shown
from billing.notices.notice import Notice, tell
from billing.quota import lot_changes
from billing.quota.balance import Balance
from billing.quota.lot_changes import Change
from billing.quota.movement import Movement, come_in, go_out
from billing.storage.writes import Write, absent_or, creates

ENTRY_PLACE: Final = 0
ROW_PLACE: Final = 1


def book(
    books: Books,
    grant: Grant,
    beside: tuple[Write, ...] = (),
) -> dict[str, Any]:
    """Book a grant as one ledger entry, and return the grant.

    The result is as operators see it, with ``remaining`` and ``debt`` after
    the grant. Idempotent: a grant id is booked once. The units pay debt first.
    Raises GrantError if the grant takes more units than there are or if its id
    belongs to another grant, and OutcomeUnknownError when the deadline passes.

    All or nothing::

                 table   key              writes                  if
            0    ledger  user, grant:id   the entry               not booked
            1    quotas  grant#id, grant  user, lot, answer       id is new
            2    quotas  user, quota      remaining, debt, total  unchanged
            3..  quotas  user, lot#       the changed lots        unchanged
            ..   ``beside``: the caller's own writes

    If DynamoDB refuses one of ``beside``, its ConditionFailedError is raised.
    """
    for _ in books.store.deadline.attempts():
        now = books.clock()
        found = _plan(books, grant, now)
        left = _left(found.balance, found.movement)
        answer = answer_of(grant, "granted") | left
        kept = {
            "customer": grant.user_id,
            "body": grant.body,
            "lot": grant.lot(grant.units, now).key,
            "answer": as_answer(grant, left),
        }
        try:
            books.store.commit(
                grant.entry(stamp(now)).write(),
                creates("quotas", grant.row, kept),
                *found.writes,
                *beside,
            )
        except ConditionFailedError as refused:
            if found.has_refused_beside(refused):
                raise
            if already := _already(grant, refused):
                return already
            continue  # a concurrent request has changed the balance: look again
        return answer
    raise OutcomeUnknownError(
        f"the account {grant.user_id} kept changing until the time was up"
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    """Holds what booking a grant changes.

    ``balance`` is as it was read, ``movement`` is the change of its units, and
    ``writes`` are those of the balance, the lots (units of one purchase or
    grant) and the events.
    """

    balance: Balance
    movement: Movement
    writes: tuple[Write, ...]

    def has_refused_beside(self, refused: ConditionFailedError) -> bool:
        """Return whether DynamoDB refused one of the writes ``beside``.

        The caller of ``book`` added these writes to the grant's transaction.
        """
        first = ROW_PLACE + 1 + len(self.writes)
        return any(place >= first for place in refused.old)


def _plan(books: Books, grant: Grant, now: datetime) -> _Plan:
    notices: list[Notice] = []
    if not grant.is_given:
        balance = upkeep.bring_up_to_date(books, grant.user_id)
        movement = _take(balance, grant)
        # As a debit does, it burns lots lazily, soonest expiry first.
        no_lot_is_due = absent_or("lots_due", ">", epoch(now))
        change = Change(
            (), {}, {"lots_used": grant.units}, (), (no_lot_is_due,)
        )
    else:
        holdings = upkeep.read_to_change(books, grant.user_id)
        balance = holdings.balance
        movement = come_in(balance, grant.units)
        lot = grant.lot(movement.add["remaining"], now)
        after = burning.in_order((*holdings.lots, lot))
        change = lot_changes.change(holdings, after, is_exact=True)
        notices.append(Notice("units.granted", shown(lot)))
    account = change.account(
        grant.user_id,
        stamp(now),
        {**movement.add, "total": grant.units},
        movement.must,
    )
    told = tell(
        books,
        grant.user_id,
        balance,
        account,
        now=now,
        notices=notices,
        comes_in=grant.is_given,
    )
    return _Plan(balance, movement, (*told, *change.rows))


def find_booked(books: Books, grant: Grant) -> dict[str, Any] | None:
    """Return a grant as operators see it if it was booked before, else None.

    Nothing is written. Raises GrantError ``conflict`` if another grant has
    its id.
    """
    kept = books.store.get("ledger", (grant.user_id, grant.entry_id))
    return repeat(grant, kept) if kept else None


def check_id(books: Books, grant: Grant) -> None:
    """Raise GrantError ``conflict`` if another grant has this id.

    It may be a grant to another customer.
    """
    kept = books.store.get("quotas", grant.row)
    if kept and kept["body"] != grant.body:
        raise conflict(grant)


def left_after(balance: Balance, grant: Grant) -> dict[str, int]:
    """Return ``remaining`` and ``debt`` as they are after the grant.

    Raises GrantError ``not_enough`` if the grant takes more units than
    there are.
    """
    if grant.is_given:
        return _left(balance, come_in(balance, grant.units))
    return _left(balance, _take(balance, grant))


def _left(balance: Balance, movement: Movement) -> dict[str, int]:
    return {
        "remaining": balance.remaining + movement.add["remaining"],
        "debt": balance.debt + movement.add.get("debt", 0),
    }


def _take(balance: Balance, grant: Grant) -> Movement:
    if balance.remaining < -grant.units:
        asked = f"{grant.user_id} has {balance.remaining} units, {-grant.units} cannot be taken"
        raise GrantError("not_enough", asked, "take at most what is there")
    return go_out(balance, -grant.units, "debt")


def _already(
    grant: Grant, refused: ConditionFailedError
) -> dict[str, Any] | None:
    """Return the answer if this grant was booked before, else None.

    None means that DynamoDB refused the write for another reason. Raises
    GrantError ``conflict`` if another grant has the id, and
    OutcomeUnknownError if the grant's ledger entry was lost in a restore.
    """
    if kept := refused.old.get(ENTRY_PLACE):
        return repeat(grant, kept)
    row = refused.old.get(ROW_PLACE)
    if not row:
        return None
    if row["body"] != grant.body:
        raise conflict(grant)
    # Only the row is left, after a restore of the ledger: the operator repairs the account.
    message = f"{grant.grant_id} was booked, and its entry is lost: topup ledger verify"
    raise OutcomeUnknownError(message)
