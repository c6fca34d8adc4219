"""Builds what operators and API callers get to see of a booked grant.

A grant is units given to a customer or taken away.
"""

from typing import Any

from billing.clock import from_epoch
from billing.errors import Item
from billing.grants.grant import Grant, GrantError


def conflict(grant: Grant) -> GrantError:
    """Return the error for a grant whose id was used for another grant."""
    message = f"the id {grant.grant_id} was used before for another grant"
    return GrantError(
        "conflict", message, "give another --id for another grant"
    )


def as_answer(grant: Grant, left: dict[str, int]) -> dict[str, Any]:
    """Return a booked grant as the API shows it.

    ``left`` has the account's ``remaining`` and ``debt`` after the grant.
    """
    expires_at = from_epoch(grant.expires_at) if grant.expires_at else None
    return {
        "grant_id": grant.grant_id,
        "units": grant.units,
        "expires_at": expires_at,
        **left,
    }


def repeat(grant: Grant, kept: Item) -> dict[str, Any]:
    """Return the answer for a grant that was booked before.

    ``kept`` is its ledger entry. Raises GrantError ``conflict`` if the
    entry is of another grant.
    """
    if (kept["units"], kept.get("note")) != (grant.units, grant.reason):
        before = f"{kept['units']:+d} units, {kept.get('note')!r}"
        message = f"the id {grant.grant_id} was used before: {before}"
        raise GrantError(
            "conflict", message, "give another --id for another grant"
        )
    return answer_of(grant, "already") | {"booked_at": kept["booked_at"]}


def answer_of(grant: Grant, status: str) -> dict[str, Any]:
    """Return a grant as operators see it.

    ``status`` is ``granted``, or ``already`` if it was booked before.
    """
    shown = {
        "status": status,
        "grant_id": grant.grant_id,
        "user_id": grant.user_id,
        "units": grant.units,
    }
    if grant.expires_at:
        shown["expires_at"] = from_epoch(grant.expires_at)
    return shown
