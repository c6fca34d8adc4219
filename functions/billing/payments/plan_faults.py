"""Finds every fault of plans.json."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from billing.money import CURRENCIES, UNITS_MAX, charge_bounds
from billing.payments.plan import Plan, Welcome

NAME_MAX: Final = 200
DESCRIPTION_MAX: Final = 500
DAYS_MAX: Final = 3650
OPTIONAL: Final = "expires_after_days"
"""The member that may be left out: then the units never expire."""
LIFE: Final = (
    f"expires_after_days must be an integer from 1 to {DAYS_MAX}, or left out"
)
_PLAN_ID: Final = re.compile(r"[a-z0-9_-]{1,40}")


def stop_if_wrong(rows: list[Any], welcome: object) -> None:
    """Raise ValueError with every fault of plans.json, if it has any.

    ``rows`` are its plans, and ``welcome`` the free units for new customers
    (None if it offers none).
    """
    faults = [
        fault
        for number, row in enumerate(rows, 1)
        for fault in _faults(number, row)
    ]
    if welcome is not None:
        faults += _faults_of_welcome(welcome)
    if faults:
        raise ValueError("plans.json: " + "; ".join(faults))


def _members(kind: type, row: object) -> Mapping[str, Any] | None:
    """Return ``row`` if it has exactly the members of ``kind``, else None.

    The member ``expires_after_days`` may be left out.
    """
    names = {field.name for field in fields(kind)}
    needed = names - {OPTIONAL}
    if isinstance(row, dict) and needed <= set(row) <= names:
        return row
    return None


def _faults(number: int, row: object) -> list[str]:
    found = _members(Plan, row)
    if found is None:
        names = sorted({field.name for field in fields(Plan)} - {OPTIONAL})
        exact = f"exactly: {', '.join(names)}, and perhaps {OPTIONAL}"
        return [f"plan {number} must have {exact}"]
    least, greatest = charge_bounds(found["currency"])
    bounds = f"from {least} to {greatest}, which is what Stripe charges in {found['currency']}"
    plan_id, currency = found["id"], found["currency"]
    checks = {
        "id must be 1 to 40 of a-z 0-9 _ -": _is_text(plan_id)
        and _PLAN_ID.fullmatch(plan_id),
        "name must be a text of 1 to 200 letters": _is_text(
            found["name"], NAME_MAX
        ),
        "description must be a text of 1 to 500 letters": _is_text(
            found["description"], DESCRIPTION_MAX
        ),
        f"amount_minor must be an integer {bounds}": _is_whole(
            found["amount_minor"], greatest, least
        ),
        "currency must be one that Topup can print exactly": _is_text(currency)
        and currency in CURRENCIES,
        f"quota must be an integer from 1 to {UNITS_MAX}": _is_whole(
            found["quota"], UNITS_MAX
        ),
        LIFE: _is_life(found),
    }
    return [
        f"plan {number}: {rule}" for rule, holds in checks.items() if not holds
    ]


def _faults_of_welcome(row: object) -> list[str]:
    found = _members(Welcome, row)
    if found is None:
        names = sorted({field.name for field in fields(Welcome)} - {OPTIONAL})
        exact = f"exactly: {', '.join(names)}, and perhaps {OPTIONAL}"
        return [f"welcome must have {exact}"]
    checks = {
        f"units must be an integer from 1 to {UNITS_MAX}": _is_whole(
            found["units"], UNITS_MAX
        ),
        "needs_verified_email must be true or false": isinstance(
            found["needs_verified_email"], bool
        ),
        f"daily_max must be an integer from 1 to {UNITS_MAX}": _is_whole(
            found["daily_max"], UNITS_MAX
        ),
        LIFE: _is_life(found),
    }
    return [f"welcome: {rule}" for rule, holds in checks.items() if not holds]


def _is_life(row: Mapping[str, Any]) -> bool:
    return OPTIONAL not in row or _is_whole(row[OPTIONAL], DAYS_MAX)


def _is_text(value: object, most: int = NAME_MAX) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most


def _is_whole(value: object, largest: int, least: int = 1) -> bool:
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and least <= value <= largest
    )
