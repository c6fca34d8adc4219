"""Books and voids grants (free units for a customer) for the seller's backend.

Voiding takes back what is left of a grant. A grant's idempotency key never
expires: a repeat gets the first answer, however late it comes.
"""

from datetime import datetime
from typing import Any, Final

from billing.books import Books
from billing.clock import epoch_after, stamp
from billing.errors import (
    BillingError,
    ConditionFailedError,
    Item,
    OutcomeUnknownError,
)
from billing.expiry import upkeep
from billing.grants.booking import book
from billing.grants.grant import Grant, GrantError, grant_row
from billing.grants.grant_answers import as_answer
from billing.ids import digest
from billing.lots import burning
from billing.notices.notice import tell
from billing.quota import lot_changes
from billing.quota.ledger import Entry
from billing.storage.writes import Must, Write, absent, exists

ID_CHARS: Final = 32
"""The characters of a grant's id, after ``grant_``. It is a hash of the caller
and the idempotency key.
"""
GRANT_ID_CHARS_MAX: Final = 100


def grant_id_of(caller: str, key: str) -> str:
    """Return the id of the grant for a caller's idempotency key.

    It is a hash of both, so that a repeat leads to the same grant. A grant is
    free units for a customer.
    """
    return f"grant_{digest(caller, key)[:ID_CHARS]}"


def give(books: Books, grant: Grant) -> dict[str, Any]:
    """Book a grant (free units for a customer), and return the response body.

    A repeat with the same idempotency key gets the first response again,
    however late it comes. Raises ``idempotency_conflict`` if the key was used
    with another body, and ``invalid_request`` if the grant is not valid, for
    example because its units would have expired already.
    """
    if kept := books.store.get("quotas", grant.row):
        return _repeat(grant, kept)
    try:
        grant.check(books.clock())
        done = book(books, grant)
    except GrantError as error:
        if error.kind == "conflict":
            raise _conflict() from error
        raise BillingError(
            "invalid_request", f"{error}; {error.remedy}"
        ) from error
    if done["status"] == "granted":
        left = {name: done[name] for name in ("remaining", "debt")}
        return as_answer(grant, left)
    return _repeat(grant, books.store.get("quotas", grant.row))


def expiry_of(expires: datetime | None) -> int:
    """Return the epoch second of an expiry, or 0 for None.

    It is rounded up, in the customer's favour.
    """
    return epoch_after(expires) if expires else 0


def void(books: Books, grant_id: str) -> dict[str, Any]:
    """Take back what is left of a grant, and return how many units.

    A repeat gets the first answer again. Units in an open hold are taken back
    when the hold ends. Raises ``not_found`` if there is no such grant. A lot
    is the units of one purchase or grant.

    All or nothing::

            table   key            writes               if
        0   quotas  grant#id,      how much was taken   not voided yet
                    grant
        1   quotas  user, quota    remaining, total     lots unchanged
        2.. quotas  user, lot#     the changed lots     unchanged
        ..  ledger  user,          the entry            not booked yet
                    voided:id
    """
    for _ in books.store.deadline.attempts():
        kept = books.store.get("quotas", grant_row(grant_id))
        if kept is None or kept["answer"]["units"] < 0:
            raise BillingError("not_found", "there is no such grant")
        if "voided" in kept:
            return {"units": kept["voided"]}
        units, writes = _take_back(books, grant_id, kept)
        try:
            books.store.commit(*writes)
        except ConditionFailedError:
            continue  # a concurrent request voided it, or used units: look again
        return {"units": units}
    raise OutcomeUnknownError(f"the account of {grant_id} kept changing")


def _take_back(
    books: Books, grant_id: str, kept: Item
) -> tuple[int, tuple[Write, ...]]:
    """Compute how many units voiding a grant takes back.

    Returns the number, and the writes for the caller to commit. ``kept`` is
    the stored row of the grant.
    """
    user_id, now = kept["customer"], stamp(books.clock())
    holdings = upkeep.read_to_change(books, user_id, through=kept["lot"])
    taken = burning.void(holdings.lots, kept["lot"])
    change = lot_changes.change(holdings, taken.lots)
    units = taken.units
    noted = Write(
        "quotas",
        grant_row(grant_id),
        set={"voided": units},
        must=(exists("user_id"), absent("voided")),
    )
    account = change.account(
        user_id,
        now,
        {"total": -units, "remaining": -units},
        (Must("remaining", ">=", units),) if units else (),
        is_booked=bool(units),
    )
    entry = Entry(
        user_id,
        f"voided:{grant_id}",
        "adjusted",
        -units,
        "grant",
        grant_id,
        now,
    )
    booked = (entry.write(),) if units else ()
    moved = tell(books, user_id, holdings.balance, account, now=books.clock())
    return units, (noted, *moved, *change.rows, *booked)


def _repeat(grant: Grant, kept: Item | None) -> dict[str, Any]:
    if not kept or kept["body"] != grant.body:
        raise _conflict()
    answer: dict[str, Any] = kept["answer"]
    return answer


def _conflict() -> BillingError:
    detail = "this Idempotency-Key was used with another body; send a new key for a new grant"
    return BillingError("idempotency_conflict", detail)
