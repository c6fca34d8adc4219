"""Describes in OpenAPI how units are given for nothing.

That is as grants, or as welcome units for new customers.
"""

from billing.api import members
from billing.api.description.members import KEY, UNITS, USER_ID
from billing.api.description.operation import (
    REPEATS,
    Operation,
    in_path,
    link,
    parameter,
)
from billing.api.description.schema import MAYBE_TIME, record
from billing.grants import api
from billing.grants.grant import REASON_CHARS_MAX


def of_giving() -> dict[str, dict[str, Operation]]:
    """Return the operations that give units without a payment.

    The result maps a path to its operations by HTTP method.
    """
    return {
        "/quota/grants": {"post": _give()},
        "/quota/grants/{grant_id}/void": {"post": _void()},
        "/quota/welcome": {"post": _welcome()},
    }


def _give() -> Operation:
    key = parameter("Idempotency-Key", "header", KEY, REPEATS, required=True)
    reason = {
        "type": "string",
        "minLength": 1,
        "maxLength": REASON_CHARS_MAX,
        "pattern": members.TEXT,
    }
    body = record(user_id=USER_ID, units=UNITS, reason=reason)
    body["properties"]["expires_at"] = MAYBE_TIME
    refused = (
        "invalid_request",
        "idempotency_key_required",
        "idempotency_conflict",
    )
    return Operation(
        "grant",
        "Give units",
        201,
        "Grant",
        "granter",
        refused,
        body,
        (key,),
        {"voidGrant": link("voidGrant", "grant_id", "grant_id")},
    )


def _void() -> Operation:
    grant_id = {"type": "string", "maxLength": api.GRANT_ID_CHARS_MAX}
    return Operation(
        "voidGrant",
        "Take back what is left of a grant",
        200,
        "Voided",
        "granter",
        (),
        None,
        (in_path("grant_id", grant_id),),
    )


def _welcome() -> Operation:
    return Operation(
        "welcome",
        "Free units for a new customer",
        201,
        "Grant",
        "user",
        ("email_not_verified", "not_found", "welcome_closed_today"),
        also=200,
    )
