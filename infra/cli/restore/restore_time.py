"""Reads the time of a restore, checks that AWS can restore to it, and names the new tables."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from infra.cli.errors import not_found, usage

LATEST: Final = "latest"
UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
SUFFIX: Final = "-at-{:%Y%m%dT%H%M%SZ}"
"""The format of the template's parameter TableSuffix."""
FORM: Final = "as 2026-11-29T12:00:00Z, `2h ago`, or latest"
NAME_CHARS_MAX: Final = 255
"""The longest name of a table:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""


@dataclass(frozen=True, slots=True)
class Window:
    """The period to which all tables can be restored. It ends about five minutes ago.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_restores.html
    """

    earliest: datetime
    latest: datetime

    @classmethod
    def of(cls, descriptions: Iterable[Any]) -> "Window":
        """Return the period to which every one of several tables can be restored.

        ``descriptions`` are the tables' ``PointInTimeRecoveryDescription``. If there is no such
        period, the result begins after it ends.
        """
        rows = list(descriptions)
        earliest = max(row["EarliestRestorableDateTime"] for row in rows)
        latest = min(row["LatestRestorableDateTime"] for row in rows)
        return cls(_whole(earliest, up=True), _whole(latest))

    def check(self, at: datetime) -> None:
        """Raise OperatorError unless every table can be restored to the second ``at``.

        The error says which times are possible.
        """
        if not self.earliest <= at <= self.latest:
            message = f"not all tables can be restored to {written(at)}"
            repair = f"give a time from {written(self.earliest)} to {written(self.latest)}"
            raise not_found(message, repair)


def moment(text: str, now: datetime) -> datetime | None:
    """Return the time in ``text``, or None for ``latest``.

    ``text`` is for example ``2026-11-29T12:00:00Z`` or ``2h ago``. Raises OperatorError if it is
    not a time, or if the time is in the future.
    """
    if text == LATEST:
        return None
    at = _ago(text, now) or _dated(text)
    if at > now:
        raise usage(f"{written(at)} is in the future", "give a time in the past")
    return at


def written(at: datetime) -> str:
    """Return a time as RFC 3339 text in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def suffix(at: datetime) -> str:
    """Return the end of the names of tables restored to ``at``: ``-at-20261129T120000Z``."""
    return SUFFIX.format(at.astimezone(UTC))


def restored_name(original: str, at: datetime) -> str:
    """Return the name of a restored table. Raises OperatorError if it is too long."""
    name = original + suffix(at)
    if len(name) > NAME_CHARS_MAX:
        raise not_found(f"{name} is longer than DynamoDB's {NAME_CHARS_MAX} characters")
    return name


def _ago(text: str, now: datetime) -> datetime | None:
    match = re.fullmatch(r"(\d{1,5})([mhd]) ago", text)
    return _whole(now - timedelta(**{UNITS[match[2]]: int(match[1])})) if match else None


def _dated(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise usage(f"{text!r} is not a time", FORM) from error
    if at.tzinfo is None:
        raise usage(f"{text!r} has no time zone", "end it with Z for UTC, or +01:00")
    if at.microsecond:
        raise usage(f"{text!r} is not a whole second", "DynamoDB restores to a second")
    return at.astimezone(UTC)


def _whole(at: datetime, *, up: bool = False) -> datetime:
    whole = at.astimezone(UTC).replace(microsecond=0)
    return whole + timedelta(seconds=1) if up and at.microsecond else whole
