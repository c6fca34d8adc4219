"""Verify the events that Topup sends: https://www.standardwebhooks.com."""

import base64
import binascii
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from topup_client.errors import TopupError

TOLERANCE_SECONDS: Final = 300
"""An older delivery may be one that was recorded and is played again."""
BODY_BYTES_MAX: Final = 256 * 1024
SIGNATURES_MAX: Final = 10
PREFIX: Final = "whsec_"


class EventRefused(TopupError):
    """The event is not Topup's, or too old. Answer 401, and do nothing of what it says."""


def verify_event(
    body: bytes, headers: Mapping[str, str], secrets: str | Sequence[str]
) -> dict[str, Any]:
    """Return the event in a delivery that Topup signed. Raises EventRefused for any other.

    ``body`` is exactly as it came. ``secrets`` are ``whsec_...``: several while one is rolled.
    An event may come twice, always with the same ``id``; and events of one account may come in
    another order than that of their ``sequence``.
    """
    known = [secrets] if isinstance(secrets, str) else list(secrets)
    given = {name.lower(): value for name, value in headers.items()}
    if len(body) > BODY_BYTES_MAX:
        raise EventRefused("the body is too large")
    name, sent_at = given.get("webhook-id", ""), _time(given.get("webhook-timestamp", ""))
    if not name or abs(time.time() - sent_at) > TOLERANCE_SECONDS:
        raise EventRefused("the delivery has no id, or is too old or too new")
    signed = b".".join((name.encode(), str(sent_at).encode(), body))
    expected = [hmac.digest(_key(secret), signed, "sha256") for secret in known]
    found = [_signature(part) for part in given.get("webhook-signature", "").split()]
    pairs = ((one, other) for one in expected for other in found[:SIGNATURES_MAX])
    # All of them are compared, so that the time tells nothing about one.
    if not any([hmac.compare_digest(one, other) for one, other in pairs]):  # noqa: C419
        raise EventRefused("no signature fits: the body was changed, or the secret is another")
    return _event(body, name)


def _event(body: bytes, name: str) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except ValueError as error:
        raise EventRefused("the body is not JSON") from error
    if not isinstance(event, dict) or event.get("id") != name:
        raise EventRefused("the body is another event's")
    return event


def _time(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len("9999999999") else 0


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError("a secret of events is whsec_ followed by base64")
    return key


def _signature(part: str) -> bytes:
    """Return the bytes of one signature, b"" for another version or nonsense."""
    version, _, text = part.partition(",")
    if version != "v1":
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
