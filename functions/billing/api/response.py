"""Builds the answers of the HTTP API, problem documents included."""

import json
from collections.abc import Mapping
from typing import Any, Final

from billing.errors import BillingError

HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
}
"""On every answer of ours:
https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers."""


def answer(status: int, body: Mapping[str, Any] | None, request_id: str) -> dict[str, Any]:
    """The only way out: a handler's answer without a status code would be a 200 to API Gateway."""
    content = {} if body is None else {"content-type": "application/json"}
    return {
        "statusCode": status,
        "headers": {**HEADERS, **content, "x-request-id": request_id},
        "body": "" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        "isBase64Encoded": False,
    }


def problem(error: BillingError, request_id: str) -> dict[str, Any]:
    """A problem document, https://www.rfc-editor.org/rfc/rfc9457, with a stable code."""
    body = {
        "type": "about:blank",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "request_id": request_id,
        **error.members,
    }
    said = answer(error.status, body, request_id)
    said["headers"]["content-type"] = "application/problem+json"
    return said
