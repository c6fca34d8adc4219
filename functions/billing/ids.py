"""Makes ids that sort by time, and hashes that are safe in table keys."""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import Final

USER_ID_CHARS_MAX: Final = 255
"""The most characters of a token's ``sub``:
https://openid.net/specs/openid-connect-core-1_0.html#IDToken
"""


def new_id(prefix: str, now: datetime) -> str:
    """Return a new id, for example a payment's. Later ids sort later.

    It is ``prefix_``, 12 hex digits of the time in milliseconds, and 20
    random ones.
    """
    return f"{prefix}_{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"


def digest(*parts: str) -> str:
    """Return one hash of several texts.

    It is safe in a table key, whatever the texts contain.
    """
    return sha256("\x1f".join(parts).encode()).hexdigest()
