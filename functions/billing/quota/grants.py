"""Books grants: units that an operator gives to a customer or takes back, once per grant id."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from billing.books import Books
from billing.clock import epoch, stamp
from billing.errors import ConditionFailedError, Item, OutcomeUnknownError
from billing.ids import USER_ID_CHARS_MAX
from billing.money import UNITS_MAX
from billing.quota import hold_expiry
from billing.quota.balance import Balance, Movement, come_in, go_out, read_account
from billing.quota.ledger import Entry
from billing.storage.writes import Write

REASON_CHARS_MAX: Final = 500
ID_CHARS_MAX: Final = 100
Kind = Literal["invalid", "not_enough", "conflict"]


class GrantError(Exception):
    """The grant cannot be booked, and nothing was written.

    ``kind`` is ``invalid`` for malformed input, ``not_enough`` if it takes more units than remain,
    and ``conflict`` if its id belongs to another grant. ``remedy`` says what to do.
    """

    def __init__(self, kind: Kind, message: str, remedy: str) -> None:
        """Both texts are sentences for an operator."""
        super().__init__(message)
        self.kind: Kind = kind
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant to book. ``units`` is signed."""

    grant_id: str
    user_id: str
    units: int
    reason: str

    @property
    def entry_id(self) -> str:
        """Return the key of its ledger entry. One grant id is booked once, for ever."""
        return f"grant:{self.grant_id}"

    def entry(self, now: str) -> Entry:
        """Return its ledger entry. Customers see the grant's id, but not the reason."""
        return Entry(
            self.user_id,
            self.entry_id,
            "adjusted",
            self.units,
            "grant",
            self.grant_id,
            now,
            note=self.reason,
        )

    def check(self) -> None:
        """Raise GrantError for an invalid user, number of units, id or reason."""
        if not self.units or abs(self.units) > UNITS_MAX:
            remedy = f"give a whole number from 1 to {UNITS_MAX}, or a negative one"
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
            remedy = f"give the token's sub, 1 to {USER_ID_CHARS_MAX} characters"
            raise GrantError(
                "invalid", f"{self.user_id[:40]!r} is no user id", remedy
            )


def book(books: Books, grant: Grant) -> dict[str, Any]:
    """Book a grant as one ledger entry, and move its units. Idempotent under its id.

    Debt is paid first. Raises GrantError if it takes more units than remain, or if its id belongs
    to another grant. Raises OutcomeUnknownError when the deadline passes.
    """
    for _ in books.store.deadline.attempts():
        now = books.clock()
        balance = read_account(books.store, grant.user_id)
        if hold_expiry.holds_are_due(balance, epoch(now)):
            hold_expiry.give_back_expired(books, grant.user_id, balance)
            continue
        account = _account(grant, balance, stamp(now))
        try:
            books.store.commit(grant.entry(stamp(now)).write(), account)
        except ConditionFailedError as refused:
            if kept := refused.old.get(0):
                return _already(grant, kept)
            continue  # a concurrent request has changed the balance: look again
        return _answer(grant, "granted") | left_after(balance, grant)
    raise OutcomeUnknownError(
        f"the account {grant.user_id} kept changing until the time was up"
    )


def find_booked(books: Books, grant: Grant) -> dict[str, Any] | None:
    """Return the answer of a grant that was booked before, or None. Writes nothing."""
    kept = books.store.get("ledger", (grant.user_id, grant.entry_id))
    return _already(grant, kept) if kept else None


def left_after(balance: Balance, grant: Grant) -> dict[str, int]:
    """Return the remaining units and the debt after a grant. Writes nothing.

    Raises as ``book`` does.
    """
    moved = _movement(balance, grant).add
    return {
        "remaining": balance.remaining + moved.get("remaining", 0),
        "debt": balance.debt + moved.get("debt", 0),
    }


def _account(grant: Grant, balance: Balance, now: str) -> Write:
    movement = _movement(balance, grant)
    moved = {name: units for name, units in movement.add.items() if units}
    return Write(
        "quotas",
        (grant.user_id, "quota"),
        set={"updated_at": now, "booked_at": now},
        add={**moved, "total": grant.units},
        must=movement.must,
    )


def _movement(balance: Balance, grant: Grant) -> Movement:
    if grant.units > 0:
        return come_in(balance, grant.units)
    if balance.remaining < -grant.units:
        asked = f"{grant.user_id} has {balance.remaining} units, {-grant.units} cannot be taken"
        raise GrantError("not_enough", asked, "take at most what is there")
    return go_out(balance, -grant.units, "debt")


def _already(grant: Grant, kept: Item) -> dict[str, Any]:
    """Answer for an id that was booked before: by the same grant, or by another one."""
    if (kept["units"], kept.get("note")) != (grant.units, grant.reason):
        before = f"{kept['units']:+d} units, {kept.get('note')!r}"
        message = f"the id {grant.grant_id} was used before: {before}"
        raise GrantError("conflict", message, "give another --id for another grant")
    return _answer(grant, "already") | {"booked_at": kept["booked_at"]}


def _answer(grant: Grant, status: str) -> dict[str, Any]:
    return {
        "status": status,
        "grant_id": grant.grant_id,
        "user_id": grant.user_id,
        "units": grant.units,
    }
