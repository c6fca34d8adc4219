"""Builds the OpenAPI 3.1 description of the API from the same limits and codes as the validation.

https://spec.openapis.org/oas/v3.1.1.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from billing import cursors
from billing.account import alert
from billing.api import request
from billing.api.event_schemas import webhooks
from billing.api.schemas import MAYBE_TIME, TEXT, Schema, record, ref, schemas
from billing.buying import queries
from billing.errors import STATUS_OF
from billing.grants import api
from billing.grants.grant import REASON_CHARS_MAX
from billing.holds import hold, placing
from billing.ids import USER_ID_CHARS_MAX
from billing.keys import api_keys, counting
from billing.keys.limits import PERS
from billing.money import UNITS_MAX
from billing.payments.plans import catalogue
from billing.top_up.agreement import MAX_PER_MONTH

OURS: Final = "application/problem+json"
GATEWAYS: Final = "application/json"
UNITS: Final[Schema] = {
    "type": "integer",
    "minimum": 1,
    "maximum": UNITS_MAX,
    "description": "written without a fraction",
}
USER_ID: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": USER_ID_CHARS_MAX,
    "pattern": request.TEXT,
}
LOW_AT: Final[Schema] = {
    "type": ["integer", "null"],
    "minimum": 0,
    "maximum": alert.LOW_AT_MAX,
    "description": "written without a fraction; 0 is never",
}
SECONDS: Final[Schema] = {
    "type": "integer",
    "minimum": 1,
    "maximum": placing.EXPIRES_IN_SECONDS_MAX,
}
LIMIT: Final[Schema] = {
    "type": "integer",
    "minimum": 1,
    "maximum": cursors.LIMIT_MAX,
    "default": cursors.LIMIT_DEFAULT,
}
KEY: Final[Schema] = {
    "type": "string",
    "maxLength": request.KEY_CHARS_MAX,
    "pattern": request.KEY,
}
CURSOR: Final[Schema] = {
    "type": "string",
    "maxLength": cursors.CURSOR_CHARS_MAX,
    "pattern": "^[A-Za-z0-9_-]*$",
}
SCOPE_OF: Final = {
    "user": [],
    "service": [request.SCOPE],
    "granter": [request.GRANT_SCOPE],
}
"""The scope that each kind of caller needs."""
STRIPES: Final = ("stripe_unavailable", "stripe_refused")
TAKING: Final = (
    "invalid_request",
    "invalid_key",
    "quota_exhausted",
    "key_limit_reached",
)
"""Refusals of a debit or hold."""
REPEATS: Final = (
    "a repeat under the same key is answered as the first time, "
    "and another body under it refused"
)


ENOUGH: Final[Schema] = UNITS | {
    "description": "take as many of the units as remain, if they are so many; up to units"
}
HOLD_ID: Final[Schema] = {"type": "string", "maxLength": hold.ID_CHARS_MAX}
KEY_ID: Final[Schema] = {
    "type": "string",
    "pattern": counting.ID,
    "description": "one of the user's live keys: counted for it, refused at its limit",
}
NAME: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": api_keys.NAME_CHARS_MAX,
    "pattern": request.TEXT,
}
KEY_LIMIT: Final[Schema] = record(
    units=UNITS, per={"type": "string", "enum": list(PERS)}
) | {
    "type": ["object", "null"],
    "additionalProperties": False,
    "description": "at most so many units in each UTC day or month, or in all; null for none",
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API.

    ``who`` says who may call it, "" for everybody. ``codes`` are the errors of this operation,
    beside those that all operations of its kind share.
    """

    name: str
    summary: str
    status: int
    answer: str
    who: str = ""
    codes: Sequence[str] = ()
    body: Schema | None = None
    parameters: Sequence[Schema] = ()
    links: Mapping[str, Schema] = field(default_factory=dict)
    also: int = 0
    """Another status of the same answer: of a repeat."""


def document() -> Schema:
    """Return the whole OpenAPI description as a dictionary."""
    table = {**_of_buying(), **_of_spending(), **_of_giving(), **_of_keys()}
    scopes = " or ".join(sorted(request.SCOPES))
    grants = " or ".join(sorted(request.scopes(request.GRANT_SCOPE)))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Topup",
            "version": "1.0.0",
            "description": "Prepaid API quota, sold with Stripe.",
        },
        "servers": [{"url": "/api/v1"}],
        "paths": {
            path: {method: _described(row) for method, row in methods.items()}
            for path, methods in table.items()
        },
        "webhooks": webhooks(),
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "user": _token("a token of the configured issuer"),
                "service": _token(
                    f"a token of the configured issuer with the scope {scopes}"
                ),
                "granter": _token(
                    f"a token of the configured issuer with the scope {grants}"
                ),
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer_key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "an API key, tk_...",
                },
            },
        },
    }


def _plan() -> Schema:
    """Return the schema of a plan's id. The catalogue is read by the first request."""
    return {"type": "string", "enum": list(catalogue())}


def _of_buying() -> dict[str, dict[str, Operation]]:
    """Return the operations of buying, by path and method."""
    plans = Operation("listPlans", "What is for sale", 200, "Plans")
    payments = _listing(
        "listPayments", "Own payments, newest first", "Payments"
    )
    return {
        "/plans": {"get": plans},
        "/payments/checkout": {"post": _checkout()},
        "/payments/webhook": {"post": _webhook()},
        "/payments": {"get": payments},
        **_of_one_payment(),
    }


def _checkout() -> Operation:
    key = _parameter("Idempotency-Key", "header", KEY, REPEATS)
    saves = {
        "type": "boolean",
        "description": "save the card, for automatic top-ups",
    }
    plan = _with_optional(record(plan=_plan()), remember_card=saves)
    followed_by = ("getPayment", "confirmPayment", "getReceipt")
    links = {name: _link(name, "id", "payment_id") for name in followed_by}
    refused = (
        "invalid_plan",
        "invalid_request",
        "idempotency_conflict",
        *STRIPES,
    )
    return Operation(
        "createCheckout",
        "Buy a plan",
        201,
        "Checkout",
        "user",
        refused,
        plan,
        (key,),
        links,
    )


def _webhook() -> Operation:
    guide = "https://docs.stripe.com/webhooks#verify-manually"
    signature = _parameter(
        "Stripe-Signature", "header", TEXT, guide, required=True
    )
    forged = ("invalid_signature", "invalid_payload", "outcome_unknown", "busy")
    body = {"type": "object"}
    return Operation(
        "receiveEvent",
        "For Stripe",
        200,
        "Settlement",
        "",
        forged,
        body,
        (signature,),
    )


def _of_one_payment() -> dict[str, dict[str, Operation]]:
    name = {"type": "string", "maxLength": queries.ID_CHARS_MAX}
    one = (_in_path("id", name, "a payment's id, or its session's"),)
    get = Operation(
        "getPayment", "One payment", 200, "Payment", "user", (), None, one
    )
    confirm = Operation(
        "confirmPayment",
        "Ask Stripe and settle at once",
        200,
        "Payment",
        "user",
        STRIPES,
        None,
        one,
    )
    receipt = Operation(
        "getReceipt",
        "Where Stripe shows the receipt",
        200,
        "Receipt",
        "user",
        STRIPES,
        None,
        one,
    )
    return {
        "/payments/{id}": {"get": get},
        "/payments/{id}/confirm": {"post": confirm},
        "/payments/{id}/receipt": {"get": receipt},
    }


def _of_spending() -> dict[str, dict[str, Operation]]:
    """Return the operations of reading and spending a quota, by path and method."""
    key = _parameter("Idempotency-Key", "header", KEY, REPEATS)
    refused = (*TAKING, "idempotency_conflict")
    body = _with_optional(record(user_id=USER_ID, units=UNITS), key_id=KEY_ID)
    debit = Operation(
        "debit", "Take units", 200, "Debit", "service", refused, body, (key,)
    )
    return {
        "/quota": {
            "get": Operation("readQuota", "What is left", 200, "Quota", "user")
        },
        "/quota/alert": _alert(),
        "/quota/auto-top-up": _auto_top_up(),
        "/quota/ledger": {
            "get": _listing("readLedger", "How it came to that", "Entries")
        },
        "/quota/lots": {
            "get": _listing("readLots", "What of it expires when", "Lots")
        },
        "/quota/debits": {"post": debit},
        **_of_holds(),
    }


def _alert() -> dict[str, Operation]:
    low_at = record(low_at=LOW_AT)
    refused = ("invalid_request",)
    return {
        "get": Operation(
            "readAlert", "Where quota.low begins", 200, "Alert", "user"
        ),
        "put": Operation(
            "setAlert",
            "Set it, null for the default",
            200,
            "Alert",
            "user",
            refused,
            low_at,
        ),
    }


def _auto_top_up() -> dict[str, Operation]:
    """Return the operations of a customer's agreement. 404 where the seller does not offer it."""
    terms = record(
        plan=_plan(),
        when_below=UNITS,
        max_per_month=UNITS | {"maximum": MAX_PER_MONTH},
        agreed={"type": "boolean", "const": True},
    )
    refused = ("not_found", "invalid_plan", "invalid_request", "no_saved_card")
    show = Operation(
        "readAutoTopUp",
        "What was agreed to",
        200,
        "AutoTopUp",
        "user",
        refused[:1],
    )
    agree = Operation(
        "agreeToAutoTopUp",
        "Agree that the saved card is charged when units run low",
        200,
        "AutoTopUp",
        "user",
        (*refused, *STRIPES),
        terms,
    )
    return {"get": show, "put": agree, "delete": _switch_off()}


def _switch_off() -> Operation:
    """Return the operation that ends a customer's agreement."""
    forget = _parameter(
        "forget_card",
        "query",
        {"type": "string", "enum": ["true", "false"]},
        "true detaches the saved cards at Stripe too",
    )
    return Operation(
        "switchOffAutoTopUp",
        "Charge the saved card no more",
        200,
        "AutoTopUpOff",
        "user",
        ("not_found", "invalid_request", *STRIPES),
        None,
        (forget,),
    )


def _of_holds() -> dict[str, dict[str, Operation]]:
    """Return the operations of holds, by path and method."""
    return {
        "/quota/holds": {"post": _place()},
        "/quota/holds/{hold_id}/capture": {"post": _capture()},
        "/quota/holds/{hold_id}/release": {"post": _release()},
    }


def _place() -> Operation:
    links = {
        name: _link(name, "hold_id", "hold_id")
        for name in ("capture", "release")
    }
    needed = record(user_id=USER_ID, units=UNITS, expires_in_seconds=SECONDS)
    body = _with_optional(needed, key_id=KEY_ID, at_least=ENOUGH)
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
        (_in_path("hold_id", HOLD_ID),),
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
        (_in_path("hold_id", HOLD_ID),),
    )


def _of_giving() -> dict[str, dict[str, Operation]]:
    """Return the operations that give units without a payment, by path and method."""
    return {
        "/quota/grants": {"post": _give()},
        "/quota/grants/{grant_id}/void": {"post": _void()},
        "/quota/welcome": {"post": _welcome()},
    }


def _give() -> Operation:
    key = _parameter("Idempotency-Key", "header", KEY, REPEATS, required=True)
    reason = {
        "type": "string",
        "minLength": 1,
        "maxLength": REASON_CHARS_MAX,
        "pattern": request.TEXT,
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
        {"voidGrant": _link("voidGrant", "grant_id", "grant_id")},
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
        (_in_path("grant_id", grant_id),),
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


def _of_keys() -> dict[str, dict[str, Operation]]:
    """Return the operations of API keys and the description's own, by path and method."""
    body = _with_optional(record(name=NAME), limit=KEY_LIMIT)
    names = ("changeKey", "revokeKey")
    links = {name: _link(name, "key_id", "key_id") for name in names}
    create = Operation(
        "createKey",
        "An API key, shown once",
        201,
        "NewKey",
        "user",
        ("invalid_request", "too_many_keys"),
        body,
        (),
        links,
    )
    listing = Operation(
        "listKeys", "Own keys, without secrets", 200, "Keys", "user"
    )
    held = Operation("showKey", "The key that is sent", 200, "HeldKey", "key")
    return {
        "/keys": {"post": create, "get": listing},
        "/keys/{key_id}": _of_one_key(),
        "/key": {"get": held},
        "/openapi.json": {
            "get": Operation("describe", "This description", 200, "Description")
        },
    }


def _of_one_key() -> dict[str, Operation]:
    one = (_in_path("key_id", {"type": "string", "pattern": counting.ID}),)
    body = _with_optional(record(), name=NAME, limit=KEY_LIMIT)
    change = Operation(
        "changeKey",
        "Rename it, or change its limit",
        200,
        "Key",
        "user",
        ("invalid_request", "too_many_keys"),
        body | {"minProperties": 1},
        one,
    )
    revoke = Operation(
        "revokeKey",
        "It works nowhere from now on",
        204,
        "",
        "user",
        (),
        None,
        one,
    )
    return {"patch": change, "delete": revoke}


def _with_optional(body: Schema, **members: Schema) -> Schema:
    """Return the schema of an object that may have these members too."""
    return {**body, "properties": {**body["properties"], **members}}


def _listing(name: str, summary: str, answer: str) -> Operation:
    page = (
        _parameter("limit", "query", LIMIT),
        _parameter(
            "cursor",
            "query",
            CURSOR,
            "next_cursor of the page before; empty for the first",
        ),
    )
    return Operation(
        name, summary, 200, answer, "user", ("invalid_request",), None, page
    )


def _described(row: Operation) -> Schema:
    good: Schema = {
        "description": row.answer or "Done",
        "headers": {"x-request-id": {"required": True, "schema": TEXT}},
    }
    if row.answer:
        good["content"] = {"application/json": {"schema": ref(row.answer)}}
    if row.links:
        good["links"] = dict(row.links)
    found: Schema = {
        "operationId": row.name,
        "summary": row.summary,
        "parameters": list(row.parameters),
        "responses": {**_good(row, good), **_refusals(row)},
    }
    if row.who:
        found["security"] = _security(row.who)
    if row.body:
        exact = (
            row.body
            if row.who == ""
            else {**row.body, "additionalProperties": False}
        )
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": exact}},
        }
    return found


def _good(row: Operation, good: Schema) -> Schema:
    """Return the answers that are no refusals, by status."""
    statuses = (row.status, row.also) if row.also else (row.status,)
    return {str(status): good for status in sorted(statuses)}


def _security(who: str) -> list[Schema]:
    """Return the ways to say who calls. A key goes into either of two headers."""
    if who == "key":
        return [{"key": []}, {"bearer_key": []}]
    return [{who: SCOPE_OF[who]}]


def _refusals(row: Operation) -> Schema:
    """Return the refusals by status: our codes, and API Gateway's own.

    API Gateway refuses by its throttle, its authorizer or a firewall before it.
    """
    has_id = any(parameter["in"] == "path" for parameter in row.parameters)
    ours = [
        *row.codes,
        *(["unauthorized", "outcome_unknown", "busy"] if row.who else []),
        *(["forbidden"] if SCOPE_OF.get(row.who) else []),
        *(["not_found"] if has_id else []),
        *(["payload_too_large"] if row.body else []),
        "internal_error",
    ]
    gateways = {
        403,
        429,
        500,
        503,
        *([401] if row.who else []),
        *([404] if has_id else []),
        *([413] if row.body else []),
    }
    by_status: dict[int, list[str]] = {status: [] for status in gateways}
    for code in ours:
        by_status.setdefault(STATUS_OF[code], []).append(code)
    return {
        str(status): _refusal(codes, is_gateways=status in gateways)
        for status, codes in sorted(by_status.items())
    }


def _refusal(codes: Sequence[str], *, is_gateways: bool) -> Schema:
    """Return one refusal, with its codes in the description, for readers.

    API Gateway's schema comes first: generated clients take the first of several, and that schema
    accepts our problems too.
    """
    described, content = list(codes), {}
    if is_gateways:
        described.append("API Gateway's own")
        content[GATEWAYS] = {"schema": ref("Refusal")}
    if codes:
        name = "NothingTaken" if "quota_exhausted" in codes else "Problem"
        content[OURS] = {"schema": ref(name)}
    return {"description": ", ".join(described), "content": content}


def _parameter(
    name: str,
    place: str,
    schema: Schema,
    told: str = "",
    *,
    required: bool = False,
) -> Schema:
    return {
        "name": name,
        "in": place,
        **({"required": True} if required else {}),
        "schema": schema,
        **({"description": told} if told else {}),
    }


def _in_path(name: str, schema: Schema, told: str = "") -> Schema:
    return _parameter(
        name, "path", {"minLength": 1} | schema, told, required=True
    )


def _link(operation: str, parameter: str, member: str) -> dict[str, Any]:
    return {
        "operationId": operation,
        "parameters": {parameter: f"$response.body#/{member}"},
    }


def _token(told: str) -> Schema:
    return {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": told,
    }
