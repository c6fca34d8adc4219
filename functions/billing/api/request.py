"""What comes in through API Gateway or a Function URL, and the one way an answer goes out: never without a status code.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html (payload 2.0; 1.0 is read too)
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from billing.errors import BillingError
from billing.ids import USER_ID_CHARS_MAX
from billing.money import UNITS_MAX

BODY_BYTES_MAX: Final = 64 * 1024
KEY_CHARS_MAX: Final = 255
KEY: Final = "^[!-~]([ -~]*[!-~])?$"
"""An Idempotency-Key: printable ASCII. HTTP drops spaces at its ends."""
TEXT: Final = r"^[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+$"
"""Nothing that controls, hides or turns around what stands beside it.

Read alike by Python and by every JSON Schema.
"""
DIGITS_MAX: Final = 4
SCOPE: Final = "quota.write"
SCOPES: Final = frozenset({SCOPE, f"topup/{SCOPE}"})
"""As the routes of template.yaml take it: bare, or as Cognito writes it, behind its resource
server's name."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call, reduced to what the product looks at.

    Every member may be hostile but ``claims``, which the authorizer made.
    """

    method: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, Sequence[str]]
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
        """Read any event of the two payload formats. Header names in lower case."""
        context = _mapping(event.get("requestContext"))
        http = _mapping(context.get("http"))
        authorizer = _mapping(context.get("authorizer"))
        claims = _mapping(authorizer.get("jwt")).get("claims", authorizer.get("claims"))
        body = event.get("body")
        return cls(
            method=str(http.get("method") or event.get("httpMethod") or ""),
            path=_texts(event.get("pathParameters")),
            query=_texts(event.get("queryStringParameters")),
            headers=_headers(event),
            raw_body=body if isinstance(body, str) else "",
            is_base64=event.get("isBase64Encoded") is True,
            claims=_mapping(claims),
            request_id=str(context.get("requestId") or fallback_id),
            route=str(event.get("routeKey") or ""),
            domain=str(context.get("domainName") or ""),
        )

    @property
    def user_id(self) -> str:
        """The token's ``sub``; never from the body."""
        subject = self.claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= USER_ID_CHARS_MAX:
            raise BillingError(
                "unauthorized", "a token with a subject is needed; sign in and try again"
            )
        return subject

    def need_scope(self) -> str:
        """Who may spend, by the token's ``sub``: a backend has one too (https://www.rfc-editor.org/rfc/rfc9068#section-2.2).

        API Gateway asks for the scope as well, in the same two claims: ``scope`` (RFC 9068), ``scp`` (Okta, Entra).
        """
        if SCOPES.isdisjoint(_scopes(self.claims.get("scope")) | _scopes(self.claims.get("scp"))):
            raise BillingError("forbidden", f"a token with the scope {SCOPE} is needed")
        return self.user_id

    def body_bytes(self, largest: int) -> bytes:
        """The bytes as they were sent, at most ``largest``:

        API Gateway hands some content types over as base64.

        There is no other way to a body. API Gateway itself takes 10 MB and a Function URL 6;
        nothing larger is decoded.
        """
        too_large = BillingError("payload_too_large", f"a body has at most {largest} bytes")
        if len(self.raw_body) > (-(-largest // 3) * 4 if self.is_base64 else largest):
            raise too_large
        try:
            raw = (
                base64.b64decode(self.raw_body, validate=True)
                if self.is_base64
                else self.raw_body.encode("utf-8", "surrogatepass")
            )
        except (binascii.Error, ValueError) as error:
            raise BillingError("invalid_payload", "the body is not valid base64") from error
        if len(raw) > largest:
            raise too_large
        return raw

    def json_object(self, *names: str) -> dict[str, Any]:
        """The body as an object with exactly these members."""
        raw = self.body_bytes(BODY_BYTES_MAX)
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise BillingError("invalid_request", "the body must be JSON") from error
        if not isinstance(body, dict) or set(body) != set(names):
            raise BillingError(
                "invalid_request", f"the body must be an object with exactly: {', '.join(names)}"
            )
        return body

    def idempotency_key(self) -> str:
        """The header's value, or "" where there is none."""
        values = self.headers.get("idempotency-key", ())
        if not values:
            return ""
        key = values[0]
        if len(values) > 1 or len(key) > KEY_CHARS_MAX or not re.fullmatch(KEY, key):
            raise BillingError(
                "invalid_request",
                f"Idempotency-Key must be 1 to {KEY_CHARS_MAX} printable ASCII characters",
            )
        return key

    def limit(self, default: int, largest: int) -> int:
        """The ``limit`` of a list."""
        text = self.query.get("limit", str(default))
        if not (
            text.isascii()
            and text.isdigit()
            and len(text) <= DIGITS_MAX
            and 1 <= int(text) <= largest
        ):
            raise BillingError("invalid_request", f"limit must be 1 to {largest}")
        return int(text)


def whole(body: Mapping[str, Any], name: str, largest: int = UNITS_MAX) -> int:
    """A whole number from 1 to ``largest``; a JSON number with a fraction, a text or a boolean is none."""
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        raise BillingError("invalid_request", f"{name} must be a whole number from 1 to {largest}")
    return value


def text(body: Mapping[str, Any], name: str, longest: int) -> str:
    """A text of 1 to ``longest`` characters that DynamoDB and JSON can carry."""
    value = body[name]
    if (
        not isinstance(value, str)
        or len(value) > longest
        or not re.fullmatch(TEXT, value)
        or _is_broken(value)
    ):
        raise BillingError(
            "invalid_request", f"{name} must be a text of 1 to {longest} printable characters"
        )
    return value


def _is_broken(value: str) -> bool:
    """Half of a character: JSON can spell it, nothing can store it."""
    return any("\ud800" <= char <= "\udfff" for char in value)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _scopes(claim: object) -> set[str]:
    """Separated by spaces, or a list: API Gateway hands that on as the text ``[a b]``."""
    if isinstance(claim, list):
        return {scope for scope in claim if isinstance(scope, str)}
    if not isinstance(claim, str):
        return set()
    return set((claim[1:-1] if claim.startswith("[") and claim.endswith("]") else claim).split())


def _texts(value: object) -> dict[str, str]:
    return {str(name): str(text) for name, text in _mapping(value).items() if text is not None}


def _headers(event: Mapping[str, Any]) -> dict[str, list[str]]:
    """Format 1.0 may carry a header several times in ``multiValueHeaders``; 2.0 joins them with commas."""
    found: dict[str, list[str]] = {}
    several = _mapping(event.get("multiValueHeaders"))
    for name, value in _mapping(event.get("headers")).items():
        if name not in several and isinstance(value, str):
            found.setdefault(str(name).lower(), []).append(value)
    for name, values in several.items():
        found.setdefault(str(name).lower(), []).extend(str(value) for value in values or ())
    return found
