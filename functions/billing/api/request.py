"""Reads the events of API Gateway and Function URLs (payload format 2.0) into a Request.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from billing.api.scopes import SCOPE, scopes, scopes_in
from billing.errors import BillingError
from billing.ids import USER_ID_CHARS_MAX

BODY_BYTES_MAX: Final = 64 * 1024
KEY_CHARS_MAX: Final = 255
KEY: Final = "^[!-~]([ -~]*[!-~])?$"
"""An Idempotency-Key: printable ASCII. HTTP drops spaces at its ends."""
DIGITS_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, with the members that the product uses.

    The caller chooses every member except ``claims``, which API Gateway's authorizer has verified.
    """

    method: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw_body: str
    is_base64: bool
    claims: Mapping[str, Any]
    request_id: str
    route: str
    domain: str
    notes: dict[str, Any] = field(default_factory=dict)
    """Ids and words for the request's log line."""

    @classmethod
    def of(cls, event: Mapping[str, Any], fallback_id: str) -> "Request":
        """Return the Request in a Lambda event, however malformed the event is.

        Header names become lower case.
        """
        context = _mapping(event.get("requestContext"))
        http = _mapping(context.get("http"))
        authorizer = _mapping(context.get("authorizer"))
        claims = _mapping(authorizer.get("jwt")).get("claims")
        body = event.get("body")
        return cls(
            method=str(http.get("method") or ""),
            path=_texts(event.get("pathParameters")),
            query=_texts(event.get("queryStringParameters")),
            headers=_headers(_mapping(event.get("headers"))),
            raw_body=body if isinstance(body, str) else "",
            is_base64=event.get("isBase64Encoded") is True,
            claims=_mapping(claims),
            request_id=str(context.get("requestId") or fallback_id),
            route=str(event.get("routeKey") or ""),
            domain=str(context.get("domainName") or ""),
        )

    @property
    def user_id(self) -> str:
        """Return the user's id, from the token's ``sub``. It never comes from the body."""
        subject = self.claims.get("sub")
        if (
            not isinstance(subject, str)
            or not 0 < len(subject) <= USER_ID_CHARS_MAX
        ):
            raise BillingError(
                "unauthorized",
                "a token with a subject is needed; sign in and try again",
            )
        return subject

    def need_scope(self, scope: str = SCOPE) -> str:
        """Return the token's ``sub`` if the token has this scope. Raises ``forbidden`` otherwise.

        A backend has a ``sub`` too: https://www.rfc-editor.org/rfc/rfc9068#section-2.2. API Gateway
        checks the scope as well, in the same two claims: ``scope`` (RFC 9068), ``scp`` (Okta,
        Entra).
        """
        granted = scopes_in(self.claims.get("scope")) | scopes_in(
            self.claims.get("scp")
        )
        if scopes(scope).isdisjoint(granted):
            raise BillingError(
                "forbidden", f"a token with the scope {scope} is needed"
            )
        return self.user_id

    def body_bytes(self, largest: int) -> bytes:
        """Return the body's bytes as they were sent.

        Raises ``payload_too_large`` above ``largest``.

        API Gateway encodes some content types as base64. It accepts bodies of up to 10 MB, and a
        Function URL of up to 6 MB. A body over ``largest`` is refused before it is decoded.
        """
        too_large = BillingError(
            "payload_too_large", f"a body has at most {largest} bytes"
        )
        chars_max = -(-largest // 3) * 4 if self.is_base64 else largest
        if len(self.raw_body) > chars_max:
            raise too_large
        raw = self._decoded()
        if len(raw) > largest:
            raise too_large
        return raw

    def _decoded(self) -> bytes:
        if not self.is_base64:
            return self.raw_body.encode("utf-8", "surrogatepass")
        try:
            return base64.b64decode(self.raw_body, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BillingError(
                "invalid_payload", "the body is not valid base64"
            ) from error

    def json_object(
        self, *names: str, optional: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """Return the body, an object with exactly these members. Raises ``invalid_request``.

        ``optional`` ones may be missing.
        """
        raw = self.body_bytes(BODY_BYTES_MAX)
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise BillingError(
                "invalid_request", "the body must be JSON"
            ) from error
        if not isinstance(body, dict) or set(body) - {*optional} != set(names):
            detail = (
                f"the body must be an object with exactly: {', '.join(names)}"
            )
            if optional:
                detail = f"{detail}; and optionally: {', '.join(optional)}"
            raise BillingError("invalid_request", detail)
        return body

    def idempotency_key(self) -> str:
        """Return the Idempotency-Key header, or "" without one. Raises ``invalid_request``."""
        key = self.headers.get("idempotency-key")
        if key is None:
            return ""
        if len(key) > KEY_CHARS_MAX or not re.fullmatch(KEY, key):
            detail = f"Idempotency-Key must be 1 to {KEY_CHARS_MAX} printable ASCII characters"
            raise BillingError("invalid_request", detail)
        return key

    def presented_key(self) -> str:
        """Return the API key in ``x-api-key``, or in ``Authorization`` after ``Bearer``, or ""."""
        if key := self.headers.get("x-api-key"):
            return key
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def limit(self, default: int, largest: int) -> int:
        """Return the query parameter ``limit`` of a list. Raises ``invalid_request``."""
        text = self.query.get("limit", str(default))
        is_number = (
            text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX
        )
        if not is_number or not 1 <= int(text) <= largest:
            raise BillingError(
                "invalid_request", f"limit must be 1 to {largest}"
            )
        return int(text)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: object) -> dict[str, str]:
    return {
        str(name): str(text)
        for name, text in _mapping(value).items()
        if text is not None
    }


def _headers(sent: Mapping[str, Any]) -> dict[str, str]:
    """Return each header by its name in lower case.

    Format 2.0 has one value for each name: several are joined with commas.
    """
    return {
        str(name).lower(): value
        for name, value in sent.items()
        if isinstance(value, str)
    }
