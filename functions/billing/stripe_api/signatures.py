"""Verifies Stripe's signature over the raw bytes of a delivery.

https://docs.stripe.com/webhooks#verify-manually
"""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from stripe import SignatureVerificationError, WebhookSignature

from billing.errors import BillingError

TOLERANCE_SECONDS: Final = 300
"""How far a signature's timestamp may be from now, in the past or in the
future. Stripe's SDK alone would accept any timestamp in the future.
"""
BODY_BYTES_MAX: Final = 256 * 1024
"""The largest event body that is read."""
HEADER_MAX: Final = 4096
DIGEST_CHARS: Final = 64
"""SHA-256 in hexadecimal."""
TIME_CHARS_MAX: Final = 12
"""The most digits of an epoch second in the header: enough for 30 000 years.
"""

FORM: Final = 'the webhook secret must hold {"secrets": ["whsec_..."]}'

Secrets = Callable[[bool], Sequence[str]]
"""``secrets(fresh)`` returns the endpoint's signing secrets, read again when ``fresh``."""


def verified_event(
    body: bytes,
    header: str,
    secrets: Secrets,
    now: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Return the event in a delivery whose signature is valid.

    ``header`` is the value of Stripe-Signature, or "" without one. Raises
    BillingError ``invalid_signature`` or ``invalid_payload``.
    """
    _check_form(header)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BillingError(
            "invalid_payload", "the body is not UTF-8"
        ) from error
    if not _is_signed(text, header, secrets, int(now())):
        raise _invalid("no signature matches, or it is older than 300 s")
    if _timestamp(header) > now() + TOLERANCE_SECONDS:
        raise _invalid("the timestamp is in the future")
    return _parsed(text)


def _is_signed(text: str, header: str, secrets: Secrets, now: int) -> bool:
    """Return whether one of our signing secrets has signed the body, ``text``.

    If none of the known secrets fits, they are read again, because the secret
    may have been rolled:
    https://docs.stripe.com/webhooks#roll-endpoint-secrets
    """
    if _matches(text, header, secrets(False)):  # noqa: FBT003 - the protocol is positional
        return True
    if not _may_be_new(header, now):
        return False
    return _matches(text, header, secrets(True))  # noqa: FBT003 - see above


def usable_secrets(stored: str) -> tuple[str, ...]:
    """Return the signing secrets in the stored text, ``{"secrets": [...]}``.

    Raises ValueError if any secret is unusable, or if there is none.
    """
    try:
        secrets = json.loads(stored)["secrets"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(FORM) from error
    if not isinstance(secrets, list):
        # Each letter of a text would be a secret, and anyone could sign with one.
        raise ValueError(FORM)  # noqa: TRY004 - to the caller it is one more unusable secret
    usable = tuple(
        secret.strip()
        for secret in secrets
        if isinstance(secret, str) and secret.strip()
    )
    if not usable or len(usable) != len(secrets):
        message = "the webhook secret holds no secret, or a blank one: anyone could sign with it"
        raise ValueError(message)
    return usable


def _check_form(header: str) -> None:
    """Raise ``invalid_signature`` unless this is one Stripe-Signature.

    The header must be there once, be ASCII, and have at most HEADER_MAX
    characters.
    """
    if not header:
        raise _invalid("exactly one Stripe-Signature header is expected")
    if sum(part.strip().startswith("t=") for part in header.split(",")) > 1:
        raise _invalid("two Stripe-Signature headers came, joined into one")
    if not header.isascii() or len(header) > HEADER_MAX:
        raise _invalid("the Stripe-Signature header is malformed")


def _matches(text: str, header: str, secrets: Sequence[str]) -> bool:
    return any(_is_signed_with(secret, text, header) for secret in secrets)


def _is_signed_with(secret: str, text: str, header: str) -> bool:
    try:
        WebhookSignature.verify_header(text, header, secret, TOLERANCE_SECONDS)
    except SignatureVerificationError:  # also for what cannot be parsed
        return False
    return True


def _may_be_new(header: str, now: int) -> bool:
    """Return whether to read the signing secrets again after none has matched.

    It is worth it only if the header has a signature of the right length and a
    timestamp close to ``now``. Then a secret that was rolled since the last
    reading may have signed.
    """
    parts = [part.partition("=") for part in header.split(",")]
    digests = [
        value
        for name, _, value in parts
        if name == "v1" and len(value) == DIGEST_CHARS
    ]
    times = [
        int(value)
        for name, _, value in parts
        if name == "t" and _is_time(value)
    ]
    return bool(digests) and any(
        abs(value - now) <= TOLERANCE_SECONDS for value in times
    )


def _is_time(value: str) -> bool:
    return value.isdigit() and len(value) <= TIME_CHARS_MAX


def _timestamp(header: str) -> int:
    """Return the time ``t`` in a Stripe-Signature header, in epoch seconds.

    The header's signature must have been verified before.
    """
    return int(
        next(part[2:] for part in header.split(",") if part.startswith("t="))
    )


def _parsed(text: str) -> dict[str, Any]:
    try:
        event = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BillingError("invalid_payload", "the body is not JSON") from error
    if not isinstance(event, dict):
        raise BillingError("invalid_payload", "the body is not a JSON object")
    return event


def _refuse(constant: str) -> None:
    message = f"{constant} is not JSON"
    raise ValueError(message)


def _invalid(why: str) -> BillingError:
    return BillingError(
        "invalid_signature",
        f"{why}; the body must be exactly as Stripe sent it",
    )
