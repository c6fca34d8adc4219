"""The API's description, OpenAPI 3.1, from the same limits and codes that the validation uses."""

from typing import Any, Final

from billing import holds, pages
from billing.api import KEY_CHARS_MAX, SCOPE, USER_ID_CHARS_MAX
from billing.errors import STATUS_OF
from billing.plans import UNITS_MAX, catalogue

Schema = dict[str, Any]
_TEXT: Final[Schema] = {"type": "string"}
_WHOLE: Final[Schema] = {"type": "integer"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
STATUSES: Final = ("pending", "processing", "completed", "failed", "expired", "partially_refunded", "refunded", "disputed")
OUTCOMES: Final = ("settled", "recorded", "duplicate", "ignored", "parked")


def document() -> Schema:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Topup", "version": "1.0.0", "description": "Prepaid API quota, sold with Stripe."},
        "servers": [{"url": "/api/v1"}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "a token of the configured issuer"},
                "service": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": f"a token with the scope {SCOPE}"},
            },
        },
    }


def _paths() -> Schema:
    limit = {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": pages.LIMIT_MAX, "default": pages.LIMIT_DEFAULT},
    }
    listing = [limit, {"name": "cursor", "in": "query", "schema": _TEXT}]
    key = [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX, "pattern": "^[ -~]+$"},
        }
    ]
    hold, one = [_in_path("hold_id")], [_in_path("id")]
    units: Schema = {"type": "integer", "minimum": 1, "maximum": UNITS_MAX}
    user_id = {"type": "string", "minLength": 1, "maxLength": USER_ID_CHARS_MAX}
    seconds = {"type": "integer", "minimum": 1, "maximum": holds.EXPIRES_IN_SECONDS_MAX}
    plan = {"type": "string", "enum": list(catalogue())}
    return {
        "/plans": {"get": _operation("listPlans", "What is for sale", {200: "Plans"})},
        "/payments/checkout": {"post": _operation("createCheckout", "Buy a plan", {201: "Checkout"}, "user", key, _body(plan=plan))},
        "/payments/webhook": {"post": _operation("receiveEvent", "For Stripe", {200: "Settlement"}, "", [_signature()], _anything())},
        "/payments": {"get": _operation("listPayments", "Own payments, newest first", {200: "Payments"}, "user", listing)},
        "/payments/{id}": {"get": _operation("getPayment", "One payment", {200: "Payment"}, "user", one)},
        "/payments/{id}/confirm": {"post": _operation("confirmPayment", "Ask Stripe and settle at once", {200: "Payment"}, "user", one)},
        "/payments/{id}/receipt": {"get": _operation("getReceipt", "Where Stripe shows the receipt", {200: "Receipt"}, "user", one)},
        "/quota": {"get": _operation("readQuota", "What is left", {200: "Quota"}, "user")},
        "/quota/ledger": {"get": _operation("readLedger", "How it came to that", {200: "Entries"}, "user", listing)},
        "/quota/debits": {"post": _operation("debit", "Take units", {200: "Debit"}, "service", key, _body(user_id=user_id, units=units))},
        "/quota/holds": {
            "post": _operation(
                "hold", "Set units aside", {201: "Hold"}, "service", [], _body(user_id=user_id, units=units, expires_in_seconds=seconds)
            )
        },
        "/quota/holds/{hold_id}/capture": {
            "post": _operation("capture", "Take held units", {200: "ClosedHold"}, "service", hold, _body(units=units))
        },
        "/quota/holds/{hold_id}/release": {"post": _operation("release", "Give held units back", {200: "ClosedHold"}, "service", hold)},
        "/keys": {
            "post": _operation(
                "createKey",
                "An API key, shown once",
                {201: "NewKey"},
                "user",
                [],
                _body(name={"type": "string", "minLength": 1, "maxLength": 100}),
            ),
            "get": _operation("listKeys", "Own keys, without secrets", {200: "Keys"}, "user"),
        },
        "/keys/{key_id}": {"delete": _operation("revokeKey", "It works nowhere from now on", {204: ""}, "user", [_in_path("key_id")])},
        "/openapi.json": {"get": _operation("describe", "This description", {200: "Anything"})},
    }


def _operation(  # noqa: PLR0917 - a line of the table above, in the order of its columns
    name: str, summary: str, good: dict[int, str], who: str = "", parameters: list[Schema] | None = None, body: Schema | None = None
) -> Schema:
    answers: Schema = {str(status): _answer(schema) for status, schema in good.items()}
    problem = {
        "description": "A refusal",
        "content": {"application/problem+json": {"schema": _ref("Problem")}, "application/json": {"schema": _ref("Refusal")}},
    }
    operation: Schema = {
        "operationId": name,
        "summary": summary,
        "parameters": parameters or [],
        "responses": {**answers, "4XX": problem, "5XX": problem},
    }
    if who:
        operation["security"] = [{who: []}]
    if body:
        operation["requestBody"] = body
    return operation


def _answer(schema: str) -> Schema:
    if not schema:
        return {"description": "Done"}
    return {"description": schema, "content": {"application/json": {"schema": _ref(schema)}}}


def _schemas() -> Schema:
    maybe = {"type": ["string", "null"]}
    later = {"type": ["string", "null"], "format": "date-time"}
    money = {"amount_minor": _WHOLE, "amount": _TEXT, "currency": _TEXT}
    payment = _object(
        **{"payment_id": _TEXT, "session_id": maybe, "plan": _TEXT, "quota": _WHOLE, **money, "status": {"enum": list(STATUSES)}},
        created_at=_TIME,
        completed_at=later,
        refunded_minor=_WHOLE,
        units_clawed_back=_WHOLE,
        failure_code=maybe,
    )
    entry = _object(
        id=_TEXT,
        type={"enum": ["funded", "clawed_back", "reinstated", "consumed", "adjusted"]},
        units=_WHOLE,
        balance_after=_WHOLE,
        reference_type=_TEXT,
        reference_id=_TEXT,
        booked_at=_TIME,
    )
    plan = _object(id=_TEXT, name=_TEXT, description=_TEXT, quota=_WHOLE, **money)
    named = {"key_id": _TEXT, "name": _TEXT, "created_at": _TIME}
    checkout = {"payment_id": _TEXT, "session_id": _TEXT, "url": _TEXT, "plan": _TEXT, "quota": _WHOLE, **money}
    debit = _object(debit_id=_TEXT, units=_WHOLE, remaining=_WHOLE)
    debit["properties"]["idempotent_replayed"] = {"type": "boolean"}
    codes = {"type": "string", "enum": list(STATUS_OF)}
    problem = _object(type=_TEXT, title=_TEXT, status=_WHOLE, code=codes, detail=_TEXT, request_id=_TEXT)
    return {
        "Plans": _object(plans=_list(plan)),
        "Checkout": _object(**checkout, status={"const": "pending"}, expires_at=_TIME),
        "Settlement": _object(status={"enum": list(OUTCOMES)}),
        "Payment": payment,
        "Receipt": _object(receipt_url=_TEXT),
        "Payments": _object(payments=_list(_ref("Payment")), next_cursor=maybe),
        "Quota": _object(user_id=_TEXT, total=_WHOLE, used=_WHOLE, held=_WHOLE, remaining=_WHOLE, debt=_WHOLE, updated_at=later),
        "Entries": _object(entries=_list(entry), next_cursor=maybe),
        "Debit": debit,
        "Hold": _object(hold_id=_TEXT, units=_WHOLE, remaining=_WHOLE, expires_at=_TIME),
        "ClosedHold": _object(hold_id=_TEXT, status={"enum": ["captured", "released"]}, units=_WHOLE, released=_WHOLE),
        "NewKey": _object(key=_TEXT, **named),
        "Keys": _object(keys=_list(_object(**named))),
        "Problem": problem,
        "Refusal": {"type": "object", "properties": {"message": {"type": ["string", "null"]}}},
        "Anything": {"type": "object"},
    }


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _in_path(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _signature() -> Schema:
    return {"name": "Stripe-Signature", "in": "header", "required": True, "schema": _TEXT}


def _body(**properties: Schema) -> Schema:
    schema = {**_object(**properties), "additionalProperties": False}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _anything() -> Schema:
    return {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
