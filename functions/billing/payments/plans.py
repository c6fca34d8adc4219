"""Reads the plans for sale from plans.json, and checks them."""

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
        }


@cache
def catalogue() -> Mapping[str, Plan]:
    """Return all plans by id, in the file's order.

    Raises ValueError with every error in the file.
    """
    return load(CATALOGUE.read_text(encoding="utf-8"))


def find(plan_id: object) -> Plan:
    """Return the plan, or raise ``invalid_plan`` with the ids of the plans for sale."""
    plans = catalogue()
    if not isinstance(plan_id, str) or plan_id not in plans:
        raise BillingError(
            "invalid_plan", f"plan must be one of: {', '.join(plans)}"
        )
    return plans[plan_id]


def load(text: str) -> Mapping[str, Plan]:
    """Return the plans in a JSON list by id. Raises ValueError with every error in it."""
    rows = json.loads(text)
    if not isinstance(rows, list) or not rows:
        raise ValueError("plans.json must hold a list with at least one plan")
    if len(rows) > PLANS_MAX:
        raise ValueError(
            f"plans.json must hold at most {PLANS_MAX} plans, not {len(rows)}"
        )
    faults = [
        fault
        for number, row in enumerate(rows, 1)
        for fault in _faults(number, row)
    ]
    if faults:
        raise ValueError("plans.json: " + "; ".join(faults))
    plans = {row["id"]: Plan(**row) for row in rows}
    if len(plans) != len(rows):
        raise ValueError("plans.json: two plans share one id")
    return plans


def _faults(number: int, row: object) -> list[str]:
    names = {field.name for field in fields(Plan)}
    if not isinstance(row, dict) or set(row) != names:
        return [f"plan {number} must have exactly: {', '.join(sorted(names))}"]
    least, greatest = charge_bounds(row["currency"])
    bounds = f"from {least} to {greatest}, which is what Stripe charges in {row['currency']}"
    plan_id, currency = row["id"], row["currency"]
    checks = {
        "id must be 1 to 40 of a-z 0-9 _ -": _is_text(plan_id)
        and _PLAN_ID.fullmatch(plan_id),
        "name must be a text of 1 to 200 letters": _is_text(row["name"], NAME_MAX),
        "description must be a text of 1 to 500 letters": _is_text(
            row["description"], DESCRIPTION_MAX
        ),
        f"amount_minor must be an integer {bounds}": _is_whole(
            row["amount_minor"], greatest, least
        ),
        "currency must be one that Topup can print exactly": _is_text(currency)
        and currency in CURRENCIES,
        f"quota must be an integer from 1 to {UNITS_MAX}": _is_whole(
            row["quota"], UNITS_MAX
        ),
    }
    return [f"plan {number}: {rule}" for rule, holds in checks.items() if not holds]


def _is_text(value: object, most: int = NAME_MAX) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most


def _is_whole(value: object, largest: int, least: int = 1) -> bool:
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and least <= value <= largest
    )
