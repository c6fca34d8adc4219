"""Builds the OpenAPI 3.1 description of the API.

It uses the same limits and error codes as the validation.
https://spec.openapis.org/oas/v3.1.1.html
"""

from collections.abc import Sequence
from typing import Final

from billing.api.description.answers import schemas
from billing.api.description.buying import of_buying
from billing.api.description.event_schemas import webhooks
from billing.api.description.giving import of_giving
from billing.api.description.keys import of_keys
from billing.api.description.operation import Operation
from billing.api.description.schema import TEXT, Schema, ref
from billing.api.description.spending import of_spending
from billing.api.scopes import GRANT_SCOPE, SCOPE, SCOPES, scopes
from billing.errors import STATUS_OF

OURS: Final = "application/problem+json"
GATEWAYS: Final = "application/json"
SCOPE_OF: Final = {
    "user": [],
    "service": [SCOPE],
    "granter": [GRANT_SCOPE],
}
"""The scope that each kind of caller needs."""


def document() -> Schema:
    """Return the whole OpenAPI description as a dictionary."""
    table = {**of_buying(), **of_spending(), **of_giving(), **of_keys()}
    spends = " or ".join(sorted(SCOPES))
    grants = " or ".join(sorted(scopes(GRANT_SCOPE)))
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
                    f"a token of the configured issuer with the scope {spends}"
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
    """Return an operation's success responses, by HTTP status.

    Usually there is one. If a repeat gets another status, there are two, and
    both have the same OpenAPI response, ``good``.
    """
    statuses = (row.status, row.also) if row.also else (row.status,)
    return {str(status): good for status in sorted(statuses)}


def _security(who: str) -> list[Schema]:
    """Return the OpenAPI security requirements for a kind of caller.

    An API key may be sent in either of two headers.
    """
    if who == "key":
        return [{"key": []}, {"bearer_key": []}]
    return [{who: SCOPE_OF[who]}]


def _refusals(row: Operation) -> Schema:
    """Return the error responses by status: ours, and API Gateway's own.

    API Gateway's come from its throttle, its authorizer, or a firewall in
    front of it.
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
    """Return one error response, with the codes in its description.

    ``is_gateways`` is true if API Gateway itself also answers with this
    status. Its schema comes first, because generated clients use the first of
    several, and that schema accepts our error answers too.
    """
    described, content = list(codes), {}
    if is_gateways:
        described.append("API Gateway's own")
        content[GATEWAYS] = {"schema": ref("Refusal")}
    if codes:
        name = "NothingTaken" if "quota_exhausted" in codes else "Problem"
        content[OURS] = {"schema": ref(name)}
    return {"description": ", ".join(described), "content": content}


def _token(told: str) -> Schema:
    return {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": told,
    }
