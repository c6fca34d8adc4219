"""Signs events by the Standard Webhooks specification.

https://www.standardwebhooks.com. The official package ``standardwebhooks``
makes one signature with one secret. That is one HMAC, not worth one more
package to pin, audit and ship. The tests check each signature with that
package.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"
KEY_BYTES_MIN: Final = 24
KEY_BYTES_MAX: Final = 64
"""https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme"""


def headers(
    name: str, epoch: int, body: bytes, secrets: Sequence[str]
) -> dict[str, str]:
    """Return the HTTP headers of one try, with a signature by each secret.

    ``name`` is the event's id, and ``epoch`` the second of this try. A
    receiver that knows one of the secrets accepts the event, so secrets
    can be rolled.
    """
    signed = b".".join((name.encode(), str(epoch).encode(), body))
    signatures = [
        base64.b64encode(hmac.digest(key_of(secret), signed, "sha256")).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": name,
        "webhook-timestamp": str(epoch),
        "webhook-signature": " ".join(f"v1,{text}" for text in signatures),
    }


def key_of(secret: str) -> bytes:
    """Return the signing key in a secret, ``whsec_`` and base64.

    Raises ValueError if the secret has another form or its key is not of
    24 to 64 bytes.
    """
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("a secret for events is not base64") from error
    if text == secret or not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ValueError(
            "a secret for events is whsec_ and the base64 of 24 to 64 bytes"
        )
    return key


def secrets_in(text: str) -> tuple[str, ...]:
    """Return the signing secrets in the stored text, the newest first.

    The text is ``{"secrets": ["whsec_..."]}``, or ``{"generated": "..."}`` as
    the deployment creates it: then the one secret is that text after
    ``whsec_``. Raises ValueError if it has no secret or an invalid one.
    """
    try:
        stored = json.loads(text)
    except ValueError as error:
        raise ValueError("the secret for events is not JSON") from error
    found = stored.get("secrets") if isinstance(stored, dict) else None
    if found is None and isinstance(stored, dict):
        found = [f"{PREFIX}{stored.get('generated', '')}"]
    if not isinstance(found, list) or not found:
        raise ValueError('the secret for events is {"secrets": ["whsec_..."]}')
    for secret in found:
        key_of(str(secret))
    return tuple(map(str, found))
