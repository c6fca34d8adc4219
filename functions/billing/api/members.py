"""Reads the members of a JSON body: whole numbers, flags, texts and times."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from billing.errors import BillingError
from billing.money import UNITS_MAX

TEXT: Final = (
    r"^[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+$"
)
"""A text without control characters, and without those that hide or reverse
other text.

Python and every JSON Schema validator understand this pattern in the same way.
"""
_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
TIME_CHARS_MAX: Final = 40


def whole(body: Mapping[str, Any], name: str, largest: int = UNITS_MAX) -> int:
    """Return the member ``name``, a whole number from 1 to ``largest``.

    Raises ``invalid_request`` for anything else, also for numbers with a
    fraction, strings and booleans.
    """
    value = body[name]
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not 1 <= value <= largest
    ):
        raise BillingError(
            "invalid_request",
            f"{name} must be a whole number from 1 to {largest}",
        )
    return value


def whole_or_null(
    body: Mapping[str, Any], name: str, least: int, largest: int
) -> int | None:
    """Return the member ``name``, a whole number, or None if it is null.

    The caller has checked that it is there. Raises ``invalid_request`` unless
    it is null or a whole number from ``least`` to ``largest``.
    """
    value = body[name]
    if value is None:
        return None
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or not least <= value <= largest:
        detail = (
            f"{name} must be a whole number from {least} to {largest}, or null"
        )
        raise BillingError("invalid_request", detail)
    return int(value)


def flag(body: Mapping[str, Any], name: str) -> bool:
    """Return the member ``name``, true or false. False if it is missing.

    Raises ``invalid_request`` for any other value.
    """
    value = body.get(name, False)
    if isinstance(value, bool):
        return value
    raise BillingError("invalid_request", f"{name} must be true or false")


def text(body: Mapping[str, Any], name: str, longest: int) -> str:
    """Return the member ``name``, a text of 1 to ``longest`` characters.

    Raises ``invalid_request`` for any other value and for characters that
    are not printable.
    """
    value = body[name]
    if (
        isinstance(value, str)
        and len(value) <= longest
        and _is_printable(value)
    ):
        return value
    detail = f"{name} must be a text of 1 to {longest} printable characters"
    raise BillingError("invalid_request", detail)


def moment(body: Mapping[str, Any], name: str) -> datetime | None:
    """Return the member ``name``, a time, or None if null or missing.

    Raises ``invalid_request`` unless it is written as in RFC 3339:
    https://www.rfc-editor.org/rfc/rfc3339#section-5.6
    """
    value = body.get(name)
    if value is None:
        return None
    detail = f"{name} must be a time as RFC 3339 writes it, like 2030-01-02T03:04:05Z"
    wrong = BillingError("invalid_request", detail)
    if not isinstance(value, str) or len(value) > TIME_CHARS_MAX:
        raise wrong
    if not _RFC_3339.fullmatch(value):
        raise wrong
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise wrong from error


def _is_printable(value: str) -> bool:
    """Return whether a text has only printable characters.

    It must not have half of a surrogate pair either, which JSON can escape
    but DynamoDB cannot store.
    """
    has_surrogate = any("\ud800" <= char <= "\udfff" for char in value)
    return bool(re.fullmatch(TEXT, value)) and not has_surrogate
