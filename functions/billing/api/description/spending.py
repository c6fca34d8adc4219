"""Describes the operations on a quota: to read it, debits and holds."""

from typing import Final

from billing.api.description.members import KEY, UNITS, USER_ID
from billing.api.description.operation import (
    REPEATS,
    Operation,
    in_path,
    link,
    listing,
    parameter,
    with_optional,
)
from billing.api.description.preferences import of_alert, of_auto_top_up
from billing.api.description.schema import Schema, record
from billing.holds import hold, placing
from billing.keys import counting

SECONDS: Final[Schema] = {
    "type": "integer",
    "minimum": 1,
    "maximum": placing.EXPIRES_IN_SECONDS_MAX,
}
TAKING: Final = (
    "invalid_request",
    "invalid_key",
    "quota_exhausted",
    "key_limit_reached",
)
"""The error codes of a debit or hold."""
ENOUGH: Final[Schema] = UNITS | {
    "description": "take as many of the units as remain, if they are so many; up to units"
}
HOLD_ID: Final[Schema] = {"type": "string", "maxLength": hold.ID_CHARS_MAX}
KEY_ID: Final[Schema] = {
    "type": "string",
    "pattern": counting.ID,
    "description": "one of the user's live keys: counted for it, refused at its limit",
}


def of_spending() -> dict[str, dict[str, Operation]]:
    """Return the OpenAPI operations that read or spend a quota.

    They are by path and method.
    """
    key = parameter("Idempotency-Key", "header", KEY, REPEATS)
    refused = (*TAKING, "idempotency_conflict")
    body = with_optional(record(user_id=USER_ID, units=UNITS), key_id=KEY_ID)
    debit = Operation(
        "debit", "Take units", 200, "Debit", "service", refused, body, (key,)
    )
    return {
        "/quota": {
            "get": Operation("readQuota", "What is left", 200, "Quota", "user")
        },
        "/quota/alert": of_alert(),
        "/quota/auto-top-up": of_auto_top_up(),
        "/quota/ledger": {
            "get": listing("readLedger", "How it came to that", "Entries")
        },
        "/quota/lots": {
            "get": listing("readLots", "What of it expires when", "Lots")
        },
        "/quota/debits": {"post": debit},
        **_of_holds(),
    }


def _of_holds() -> dict[str, dict[str, Operation]]:
    """Return the operations of holds, by path and method."""
    return {
        "/quota/holds": {"post": _place()},
        "/quota/holds/{hold_id}/capture": {"post": _capture()},
        "/quota/holds/{hold_id}/release": {"post": _release()},
    }


def _place() -> Operation:
    links = {
        name: link(name, "hold_id", "hold_id")
        for name in ("capture", "release")
    }
    needed = record(user_id=USER_ID, units=UNITS, expires_in_seconds=SECONDS)
    body = with_optional(needed, key_id=KEY_ID, at_least=ENOUGH)
    return Operation(
        "hold",
        "Set units aside",
        201,
        "Hold",
        "service",
        TAKING,
        body,
        (),
        links,
    )


def _capture() -> Operation:
    return Operation(
        "capture",
        "Take held units, give the rest back",
        200,
        "ClosedHold",
        "service",
        ("invalid_request", "exceeds_hold", "hold_closed"),
        record(units=UNITS),
        (in_path("hold_id", HOLD_ID),),
    )


def _release() -> Operation:
    return Operation(
        "release",
        "Give held units back",
        200,
        "ClosedHold",
        "service",
        ("hold_closed",),
        None,
        (in_path("hold_id", HOLD_ID),),
    )
