"""Names we give: ids that sort by time, and the keys of rows that belong to a user or to one of Stripe's objects."""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import Final

USER_ID_CHARS_MAX: Final = 255
"""Of a token's ``sub``: https://openid.net/specs/openid-connect-core-1_0.html#IDToken"""


def new_id(prefix: str, now: datetime) -> str:
    """``pay_`` + 12 hex digits of milliseconds + 20 random: unique, opaque ASCII, and later ones sort later."""
    return f"{prefix}_{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"


def digest(*parts: str) -> str:
    """One name for several texts, safe as a key however long or odd they are."""
    return sha256("\x1f".join(parts).encode()).hexdigest()
