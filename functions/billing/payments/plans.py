"""Reads the plans for sale and the welcome from plans.json, and checks them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

from billing.errors import BillingError
from billing.money import CURRENCIES, UNITS_MAX, charge_bounds, decimal_string

CATALOGUE: Final = Path(__file__).with_name("plans.json")
NAME_MAX: Final = 200
PLANS_MAX: Final = 100
"""The page and the API show all of them at once."""
DESCRIPTION_MAX: Final = 500
DAYS_MAX: Final = 3650
OPTIONAL: Final = "expires_after_days"
"""The member that may be left out: then the units never expire."""
LIFE: Final = (
    f"expires_after_days must be an integer from 1 to {DAYS_MAX}, or left out"
)
_PLAN_ID: Final = re.compile(r"[a-z0-9_-]{1,40}")


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan for sale. ``amount_minor`` is in the currency's minor unit."""

    id: str
    name: str
    description: str
    amount_minor: int
    currency: str
    quota: int
    expires_after_days: int = 0
    """How long the units live, 0 for ever."""

    def as_answer(self) -> dict[str, Any]:
        """Return the plan as ``GET /plans`` shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "amount_minor": self.amount_minor,
            "amount": decimal_string(self.amount_minor, self.currency),
            "currency": self.currency,
            "quota": self.quota,
            "expires_after_days": self.expires_after_days or None,
        }


@dataclass(frozen=True, slots=True)
class Welcome:
    """The free units that a new customer may ask for, once."""

    units: int
    needs_verified_email: bool
    daily_max: int
    """How many customers of the whole deployment may get them in one UTC day."""
    expires_after_days: int = 0

    def as_answer(self) -> dict[str, Any]:
        """The welcome as ``GET /plans`` shows it."""
        return {
            "units": self.units,
            "expires_after_days": self.expires_after_days or None,
            "needs_verified_email": self.needs_verified_email,
            "daily_max": self.daily_max,
        }


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is for sale, and what is free."""

    plans: Mapping[str, Plan]
    welcome: Welcome | None = None


@cache
def whole_catalogue() -> Catalogue:
    """Return the file's plans and welcome. Raises ValueError naming every fault of the file."""
    return read(CATALOGUE.read_text(encoding="utf-8"))


def catalogue() -> Mapping[str, Plan]:
    """Return all plans by id, in the file's order.

    Raises ValueError with every error in the file.
    """
    return whole_catalogue().plans


def find(plan_id: object) -> Plan:
    """Return the plan, or raise ``invalid_plan`` with the ids of the plans for sale."""
    plans = catalogue()
    if not isinstance(plan_id, str) or plan_id not in plans:
        raise BillingError(
            "invalid_plan", f"plan must be one of: {', '.join(plans)}"
        )
    return plans[plan_id]


def load(text: str) -> Mapping[str, Plan]:
    """Parse and check a catalogue, and return its plans."""
    return read(text).plans


def read(text: str) -> Catalogue:
    """Parse and check a catalogue.

    It is a JSON list of plans, or an object with the members ``plans`` and ``welcome``.
    """
    found = json.loads(text)
    rows, welcome = found, None
    if isinstance(found, dict):
        if set(found) - {"plans", "welcome"}:
            raise ValueError(
                "plans.json: an object has exactly: plans, welcome"
            )
        rows, welcome = found.get("plans"), found.get("welcome")
    if not isinstance(rows, list) or not rows:
        raise ValueError("plans.json must hold a list with at least one plan")
    if len(rows) > PLANS_MAX:
        raise ValueError(
            f"plans.json must hold at most {PLANS_MAX} plans, not {len(rows)}"
        )
    _stop_if_wrong(rows, welcome)
    plans = {row["id"]: Plan(**row) for row in rows}
    if len(plans) != len(rows):
        raise ValueError("plans.json: two plans share one id")
    return Catalogue(plans, Welcome(**welcome) if welcome else None)


def _stop_if_wrong(rows: list[Any], welcome: object) -> None:
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
    """Return a row that has all members of ``kind``, and no others; an optional one may lack."""
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
