"""Builds the answers of the HTTP API, including error answers.

A ``Body`` is a dictionary or a dataclass. Dataclasses may be nested at any
depth.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from billing.answers import members
from billing.errors import BillingError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Body = Mapping[str, Any] | DataclassInstance | None

HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
}
"""The headers of each of our answers:
https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers.
"""


def answer(status: int, body: "Body", request_id: str) -> dict[str, Any]:
    """Return an answer in API Gateway's format.

    It always has a status code, because API Gateway treats an answer
    without one as a 200.
    """
    headers = {**HEADERS, "x-request-id": request_id}
    text = ""
    if body is not None:
        headers["content-type"] = "application/json"
        text = json.dumps(
            body, ensure_ascii=False, separators=(",", ":"), default=members
        )
    return {
        "statusCode": status,
        "headers": headers,
        "body": text,
        "isBase64Encoded": False,
    }


def problem(error: BillingError, request_id: str) -> dict[str, Any]:
    """Return the HTTP response for an error, with the error's stable code.

    Its body is a problem document: https://www.rfc-editor.org/rfc/rfc9457.
    """
    body = {
        "type": "about:blank",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "request_id": request_id,
        **error.members,
    }
    found = answer(error.status, body, request_id)
    found["headers"]["content-type"] = "application/problem+json"
    return found
