"""Makes ids that sort by time, and digests that are safe as keys."""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import Final

USER_ID_CHARS_MAX: Final = 255
"""Of a token's ``sub``: https://openid.net/specs/openid-connect-core-1_0.html#IDToken"""


def new_id(prefix: str, now: datetime) -> str:
    """Return ``pay_`` + 12 hex digits of milliseconds + 20 random ones.

    Unique, opaque ASCII. Later ids sort later.
    """
    return f"{prefix}_{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"


def digest(*parts: str) -> str:
    """Return one name for several texts, safe as a key whatever they hold."""
    return sha256("\x1f".join(parts).encode()).hexdigest()
