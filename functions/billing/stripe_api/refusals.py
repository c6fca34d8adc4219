"""What Stripe says when it refuses, reduced to what may stand in a log: no personal data, no key."""

import re
from collections.abc import Iterable
from typing import Any, Final

import stripe

MESSAGE_CHARS_MAX: Final = 500
EMAIL: Final = re.compile(r"[^\s'\"<>,;:()]+@[^\s'\"<>,;:()]+")
KEY: Final = re.compile(r"\b(?:[rsp]k|whsec)_\w[\w*]*")
HIDDEN: Final = "[hidden]"
# https://docs.stripe.com/api/errors: what the request was can be sent again in these cases only.
CONFLICT: Final = 409
DEPENDENCY: Final = 424
TIMEOUT: Final = 408
TOO_MANY: Final = 429
PASSING: Final = frozenset({TIMEOUT, CONFLICT, DEPENDENCY, TOO_MANY})
CLIENT_ERROR: Final = 400
SERVER_ERROR: Final = 500
LOCKED: Final = "lock_timeout"
"""Another request holds the object: https://docs.stripe.com/rate-limits#object-lock-timeouts."""
MISSING: Final = "resource_missing"
"""There is no object of that id: https://docs.stripe.com/error-codes#resource-missing."""


def error_of(error: stripe.StripeError) -> dict[str, Any]:
    """Stripe's own error object, or nothing where the answer is not Stripe's.

    stripe-python leaves ``code`` empty for 401, 403 and 429; the body has it.
    """
    body = error.json_body
    said = body.get("error") if isinstance(body, dict) else None
    return said if isinstance(said, dict) else {}


def passes(error: stripe.StripeError) -> bool:
    """Worth another try under the same key: no connection, too many requests, or another request at work."""
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError):
        return True
    return error.http_status == CONFLICT or error_of(error).get("code") == LOCKED


def is_missing(error: stripe.StripeError) -> bool:
    """Stripe itself says that there is no such object. A proxy's page of status 404 does not."""
    return error_of(error).get("code") == MISSING


def is_final(error: stripe.StripeError) -> bool:
    """The same request again is refused again.

    400 (a parameter), 401 (the key), 402 (valid, but failed), 403 (the key's rights), 404 (no such
    object or route): https://docs.stripe.com/api/errors#errors-http_status_code_summary. What is
    not Stripe's error object comes from something between us and Stripe, and says nothing for good.
    """
    status = error.http_status or 0
    is_client_error = CLIENT_ERROR <= status < SERVER_ERROR
    return is_client_error and status not in PASSING and bool(error_of(error))


def for_the_log(error: stripe.StripeError, personal: Iterable[str] = ()) -> dict[str, Any]:
    """Stripe's type, code, message and so on.

    ``personal``: what was sent that must not stand in a log.
    """
    said = error_of(error)
    texts = {
        name: _text(said.get(name), personal)
        for name in ("type", "code", "decline_code", "message", "param")
    }
    return {**texts, "request_id": error.request_id, "http_status": error.http_status}


def _text(value: object, personal: Iterable[str]) -> str | None:
    """Stripe repeats what it was sent in some messages:

    "Invalid email address: ...", "Invalid API Key provided: sk_...".
    """
    if not isinstance(value, str) or not value:
        return None
    for secret in filter(None, personal):
        value = value.replace(secret, HIDDEN)
    return KEY.sub(HIDDEN, EMAIL.sub(HIDDEN, value))[:MESSAGE_CHARS_MAX]
