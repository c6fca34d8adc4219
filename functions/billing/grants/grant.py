"""Books a grant: units that are given to a customer, or taken back, once per grant id.

The API, an operator and the welcome give units by the same code.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from billing.books import Books
from billing.clock import epoch, from_epoch, stamp
from billing.errors import ConditionFailedError, Item, OutcomeUnknownError
from billing.ids import USER_ID_CHARS_MAX, digest
from billing.lots import burning
from billing.lots.listed import shown
from billing.lots.lot import Lot, Source
from billing.money import UNITS_MAX
from billing.notices.notice import Notice, tell
from billing.quota import lot_rows, upkeep
from billing.quota.balance import Balance, Movement, come_in, go_out
from billing.quota.ledger import Entry
from billing.quota.lot_rows import Change
from billing.storage.writes import Write, absent_or, creates

REASON_CHARS_MAX: Final = 500
ID_CHARS_MAX: Final = 100
YEARS_MAX: Final = 10
"""How far ahead a grant may expire."""
WELCOME: Final = "welcome"
ENTRY_PLACE: Final = 0
ROW_PLACE: Final = 1
Kind = Literal["invalid", "not_enough", "conflict"]


class GrantError(Exception):
    """The grant cannot be booked, and nothing was written.

    ``kind``: it makes no sense (``invalid``), it takes more than there is (``not_enough``), or its
    id belongs to another grant (``conflict``). ``remedy`` says what to do.
    """

    def __init__(self, kind: Kind, message: str, remedy: str) -> None:
        """Both texts are sentences for an operator."""
        super().__init__(message)
        self.kind: Kind = kind
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Grant:
    """What is to be booked. ``units`` is signed. ``expires_at``: epoch second, 0 for never."""

    grant_id: str
    user_id: str
    units: int
    reason: str
    expires_at: int = 0
    source: Source = "grant"

    @property
    def is_given(self) -> bool:
        """Whether units come in. Otherwise they are taken back."""
        return self.units > 0

    @property
    def entry_id(self) -> str:
        """The ledger's key: one grant is booked once only, for ever."""
        return WELCOME if self.source == WELCOME else f"grant:{self.grant_id}"

    @property
    def row(self) -> tuple[str, str]:
        """The key of the row that finds the grant by its id, or a customer's welcome."""
        if self.source == WELCOME:
            return welcome_row(self.user_id)
        return grant_row(self.grant_id)

    @property
    def body(self) -> str:
        """What a repeat under the same id must have in common."""
        shown = (
            self.user_id,
            str(self.units),
            self.reason,
            str(self.expires_at),
        )
        return digest(*shown)

    def entry(self, now: str) -> Entry:
        """Return its entry in the ledger. Customers see the grant's id, not the reason."""
        return Entry(
            self.user_id,
            self.entry_id,
            "granted" if self.is_given else "adjusted",
            self.units,
            self.source,
            self.grant_id,
            now,
            note=self.reason,
        )

    def lot(self, units: int, now: datetime) -> Lot:
        """Return the lot in which ``units`` come in: fewer than were given where debt is paid."""
        lot = Lot(
            lot_id=self.entry_id,
            source=self.source,
            units=self.units,
            free=units,
            expires_at=self.expires_at,
            created_us=int(now.timestamp() * 1_000_000),
            reference_id=self.grant_id,
        )
        return lot.begun(epoch(now))

    def check(self, now: datetime) -> None:
        """Raise GrantError for a grant that makes no sense."""
        if not self.units or abs(self.units) > UNITS_MAX:
            remedy = (
                f"give a whole number from 1 to {UNITS_MAX}, or a negative one"
            )
            raise GrantError(
                "invalid", f"{self.units} units cannot be granted", remedy
            )
        if not self.reason.strip() or len(self.reason) > REASON_CHARS_MAX:
            length = f"--reason with 1 to {REASON_CHARS_MAX} characters"
            remedy = f"{length}, for those who read the ledger later"
            raise GrantError("invalid", "a grant needs a reason", remedy)
        if (
            not 0 < len(self.grant_id) <= ID_CHARS_MAX
            or not self.grant_id.isprintable()
        ):
            remedy = f"--id takes 1 to {ID_CHARS_MAX} printable characters"
            raise GrantError("invalid", f"{self.grant_id!r} is no id", remedy)
        if not 0 < len(self.user_id) <= USER_ID_CHARS_MAX:
            remedy = (
                f"give the token's sub, 1 to {USER_ID_CHARS_MAX} characters"
            )
            raise GrantError(
                "invalid", f"{self.user_id[:40]!r} is no user id", remedy
            )
        if self.expires_at and not self._expires_in_time(now):
            remedy = f"give a time in the future, within {YEARS_MAX} years"
            when = f"the units would expire at {from_epoch(self.expires_at)}"
            raise GrantError("invalid", when, remedy)

    def _expires_in_time(self, now: datetime) -> bool:
        if not self.is_given:
            return False
        return epoch(now) < self.expires_at <= epoch(_years_later(now))


def _years_later(now: datetime) -> datetime:
    """Return the same moment after YEARS_MAX years. The 29th of February becomes the 28th."""
    try:
        return now.replace(year=now.year + YEARS_MAX)
    except ValueError:
        return now.replace(year=now.year + YEARS_MAX, day=28)


def grant_row(grant_id: str) -> tuple[str, str]:
    """Return the key of the row that finds a grant by its id. It is never deleted."""
    return (f"grant#{grant_id}", "grant")


def welcome_row(user_id: str) -> tuple[str, str]:
    """Return the key of the row that keeps a customer's welcome. It is never deleted."""
    return (user_id, WELCOME)


def book(
    books: Books,
    grant: Grant,
    beside: tuple[Write, ...] = (),
) -> dict[str, Any]:
    """Book a grant as one ledger entry, and move its units. Idempotent under its id.

    Debt is paid first. Raises GrantError for more than there is to take, or an id that another
    grant has, and OutcomeUnknownError when the deadline passes.

    All or nothing::

        0    ledger  user, grant:id    the entry                   if it is not booked
        1    quotas  grant#id, grant   whose it is, the answer     if the id is new
        2    quotas  user, quota       remaining, debt, total      if they are as read
        3..  quotas  user, lot#        the lot, and those burned   if they are as read
        ..   ``beside``                for the welcome             raises what it refuses
    """
    for _ in books.store.deadline.attempts():
        now = books.clock()
        found = _plan(books, grant, now)
        left = _left(found.balance, found.movement)
        answer = _answer(grant, "granted") | left
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
    """What a grant moves, decided on the account as it was read."""

    balance: Balance
    movement: Movement
    writes: tuple[Write, ...]

    def has_refused_beside(self, refused: ConditionFailedError) -> bool:
        """Whether one of the caller's own writes was refused."""
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
        change = lot_rows.change(holdings, after, is_exact=True)
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
    """Return the answer for a grant that was booked before, or None. Nothing is written."""
    kept = books.store.get("ledger", (grant.user_id, grant.entry_id))
    return _repeat(grant, kept) if kept else None


def check_id(books: Books, grant: Grant) -> None:
    """Raise GrantError where another grant has this id, whosever that is."""
    kept = books.store.get("quotas", grant.row)
    if kept and kept["body"] != grant.body:
        raise _conflict(grant)


def _conflict(grant: Grant) -> GrantError:
    message = f"the id {grant.grant_id} was used before for another grant"
    return GrantError(
        "conflict", message, "give another --id for another grant"
    )


def left_after(balance: Balance, grant: Grant) -> dict[str, int]:
    """Return what remains, and the debt, once the grant is booked. Raises as ``book`` does."""
    if grant.is_given:
        return _left(balance, come_in(balance, grant.units))
    return _left(balance, _take(balance, grant))


def as_answer(grant: Grant, left: dict[str, int]) -> dict[str, Any]:
    """Return a booked grant as the API shows it."""
    expires_at = from_epoch(grant.expires_at) if grant.expires_at else None
    return {
        "grant_id": grant.grant_id,
        "units": grant.units,
        "expires_at": expires_at,
        **left,
    }


def _left(balance: Balance, movement: Movement) -> dict[str, int]:
    return {
        "remaining": balance.remaining + movement.add.get("remaining", 0),
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
    """Answer for an id that was booked before. None: that was not why the write was refused."""
    if kept := refused.old.get(ENTRY_PLACE):
        return _repeat(grant, kept)
    row = refused.old.get(ROW_PLACE)
    if not row:
        return None
    if row["body"] != grant.body:
        raise _conflict(grant)
    # Only the row is left, after a restore of the ledger: the operator repairs the account.
    message = f"{grant.grant_id} was booked, and its entry is lost: topup ledger verify"
    raise OutcomeUnknownError(message)


def _repeat(grant: Grant, kept: Item) -> dict[str, Any]:
    """Answer for an id that was booked before: by the same grant, or by another one."""
    if (kept["units"], kept.get("note")) != (grant.units, grant.reason):
        before = f"{kept['units']:+d} units, {kept.get('note')!r}"
        message = f"the id {grant.grant_id} was used before: {before}"
        raise GrantError(
            "conflict", message, "give another --id for another grant"
        )
    return _answer(grant, "already") | {"booked_at": kept["booked_at"]}


def _answer(grant: Grant, status: str) -> dict[str, Any]:
    shown = {
        "status": status,
        "grant_id": grant.grant_id,
        "user_id": grant.user_id,
        "units": grant.units,
    }
    if grant.expires_at:
        shown["expires_at"] = from_epoch(grant.expires_at)
    return shown
