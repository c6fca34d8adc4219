"""Defines limits of API keys.

A limit is the units that an API key may use in a UTC day, in a UTC month, or
in all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, assert_never, get_args

from billing.answers import Member
from billing.clock import stamp
from billing.errors import BillingError
from billing.money import UNITS_MAX
from billing.quota.key_bookmarks import Per

PERS: tuple[Per, ...] = get_args(Per)


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of ``units`` in each window: UTC day, month, or in all."""

    units: Annotated[int, Member(minimum=1)]
    per: Per

    @classmethod
    def parse(cls, value: object) -> "Limit | None":
        """Return the limit in a caller's JSON, or None for null.

        Raises ``invalid_request`` if it is not an object with valid ``units``
        and ``per``.
        """
        if value is None:
            return None
        if not isinstance(value, dict) or set(value) != {"units", "per"}:
            raise _invalid("limit must be null or an object with units and per")
        units, per = value["units"], value["per"]
        if type(units) is not int or not 1 <= units <= UNITS_MAX:
            raise _invalid(
                f"limit.units must be a whole number from 1 to {UNITS_MAX}"
            )
        for known in PERS:
            if per == known:
                return cls(units, known)
        raise _invalid(f"limit.per must be one of {', '.join(PERS)}")

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Limit | None":
        """Return the limit in an API key's stored row, or None without one."""
        stored = item.get("limit")
        return cls(stored["units"], stored["per"]) if stored else None

    def to_item(self) -> dict[str, Any]:
        """Return the limit as it is stored."""
        return {"units": self.units, "per": self.per}

    def resets_at(self, now: datetime) -> str | None:
        """Return when the limit's next UTC day or month starts.

        Returns None for a limit in all (``total``), which never starts again.
        """
        today = now.astimezone(UTC).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        match self.per:
            case "day":
                return stamp(today + timedelta(days=1))
            case "month":
                in_next = today.replace(day=1) + timedelta(days=32)
                return stamp(in_next.replace(day=1))
            case "total":
                return None
            case _:
                assert_never(self.per)


def _invalid(detail: str) -> BillingError:
    return BillingError("invalid_request", detail)
