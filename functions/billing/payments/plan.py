"""Defines what is for sale: plans, and welcome units for new customers.

A catalogue has both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from billing.money import decimal_string


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
    """After how many days the units expire. 0 means never."""

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
    """The free units that a new customer may ask for, once.

    plans.json says whether the deployment offers any.
    """

    units: int
    needs_verified_email: bool
    daily_max: int
    """How many customers of the whole deployment may get them in one UTC day."""
    expires_after_days: int = 0

    def as_answer(self) -> dict[str, Any]:
        """Return new customers' free units, as ``GET /plans`` shows them."""
        return {
            "units": self.units,
            "expires_after_days": self.expires_after_days or None,
            "needs_verified_email": self.needs_verified_email,
            "daily_max": self.daily_max,
        }


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Holds what plans.json offers: the plans by id, and the welcome units.

    Welcome units are free units for new customers. None means that there are
    none.
    """

    plans: Mapping[str, Plan]
    welcome: Welcome | None = None
