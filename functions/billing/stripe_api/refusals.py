"""Classifies Stripe's error answers, and removes e-mail addresses and keys before logging."""

import re
from collections.abc import Iterable
from typing import Any, Final

import stripe

MESSAGE_CHARS_MAX: Final = 500
EMAIL: Final = re.compile(r"[^\s'\"<>,;:()]+@[^\s'\"<>,;:()]+")
KEY: Final = re.compile(r"\b(?:[rsp]k|whsec)_\w[\w*]*")
HIDDEN: Final = "[hidden]"
# The same request may succeed later after these only: https://docs.stripe.com/api/errors.
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
    """Return Stripe's error object, or {} if the answer is not Stripe's.

    stripe-python leaves ``code`` empty for 401, 403 and 429. The body has it.
    """
    body = error.json_body
    found = body.get("error") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}


def passes(error: stripe.StripeError) -> bool:
    """Return whether another attempt may succeed.

    That is so if there was no connection, if there were too many requests,
    or if a concurrent request locks the object. The attempt may use the
    same idempotency key.
    """
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError):
        return True
    return (
        error.http_status == CONFLICT or error_of(error).get("code") == LOCKED
    )


def is_missing(error: stripe.StripeError) -> bool:
    """Return whether Stripe says that the object does not exist. A proxy's 404 does not count."""
    return error_of(error).get("code") == MISSING


def is_kept(error: stripe.StripeError) -> bool:
    """Return whether Stripe repeats this error for the same idempotency key.

    It does so for a day: https://docs.stripe.com/api/idempotent_requests
    """
    status = error.http_status or 0
    is_server_error = status >= SERVER_ERROR or status == DEPENDENCY
    return is_server_error or isinstance(error, stripe.IdempotencyError)


def is_final(error: stripe.StripeError) -> bool:
    """Return whether Stripe would refuse the same request again.

    400 (a parameter), 401 (our secret key), 402 (valid, but failed), 403
    (the secret key's rights) and 404 (no such object or route) are final.
    https://docs.stripe.com/api/errors#errors-http_status_code_summary
    An answer without Stripe's error object comes from a proxy, and is
    never final.
    """
    status = error.http_status or 0
    is_client_error = CLIENT_ERROR <= status < SERVER_ERROR
    return is_client_error and status not in PASSING and bool(error_of(error))


def for_the_log(
    error: stripe.StripeError, personal: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the parts of an error answer that may be logged.

    They are Stripe's type, codes, message and parameter, and the request's id and status.
    ``personal`` are values that were sent to Stripe and must not be logged.
    """
    found = error_of(error)
    names = ("type", "code", "decline_code", "message", "param")
    texts = {name: _text(found.get(name), personal) for name in names}
    return {
        **texts,
        "request_id": error.request_id,
        "http_status": error.http_status,
    }


def _text(value: object, personal: Iterable[str]) -> str | None:
    """Return a text without e-mail addresses, keys and ``personal``.

    Each is replaced by "[hidden]", because Stripe's messages repeat what
    was sent: "Invalid email address: ...", "Invalid API Key provided:
    sk_...". Returns None for anything but text.
    """
    if not isinstance(value, str) or not value:
        return None
    for secret in filter(None, personal):
        value = value.replace(secret, HIDDEN)
    return KEY.sub(HIDDEN, EMAIL.sub(HIDDEN, value))[:MESSAGE_CHARS_MAX]
