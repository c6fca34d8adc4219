"""Reads plans.json: the plans for sale, and new customers' free units."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from billing.errors import BillingError
from billing.payments.plan import Catalogue, Plan, Welcome
from billing.payments.plan_faults import stop_if_wrong

CATALOGUE: Final = Path(__file__).with_name("plans.json")
PLANS_MAX: Final = 100
"""The most plans. The page and the API show all of them at once."""


@cache
def whole_catalogue() -> Catalogue:
    """Return the plans and welcome units in plans.json.

    Raises ValueError that lists every error in the file.
    """
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
    """Return the plans, by id, in the text of a plans.json.

    Raises ValueError that lists every error in the text.
    """
    return read(text).plans


def read(text: str) -> Catalogue:
    """Return the plans and welcome units in the text of a plans.json.

    The text is a JSON list of plans, or an object with the members
    ``plans`` and ``welcome``. Raises ValueError that lists every error in
    the text.
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
    stop_if_wrong(rows, welcome)
    plans = {row["id"]: Plan(**row) for row in rows}
    if len(plans) != len(rows):
        raise ValueError("plans.json: two plans share one id")
    return Catalogue(plans, Welcome(**welcome) if welcome else None)
