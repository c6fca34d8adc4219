"""Finds the holder of a secret key. A secret is stored as a hash only."""

import hmac
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from billing.books import Books
from billing.errors import Item

_KEY: Final = re.compile(r"tk_([a-z]{1,20})_([0-9a-f]{24})_([0-9A-Za-z_-]{43})")
NO_HASH: Final = "0" * 64
"""Compared with where there is no such key, so that the answer takes as long as for one."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The user and the id of a valid API key."""

    user_id: str
    key_id: str
    row: Item = field(default_factory=dict, compare=False)
    """The row that the key was found by. It has the key's name and limit too."""


def holder(books: Books, stage: str, presented: str) -> Holder | None:
    """Return the holder of a secret key, or None for any other text.

    The comparison takes constant time, also without such a key.
    """
    parts = _KEY.fullmatch(presented)
    if parts is None or parts[1] != stage:
        return None
    row = books.store.get("keys", (f"key#{parts[2]}", "key"))
    stored = row["hash"] if row else NO_HASH
    matches = hmac.compare_digest(stored, hash_of(parts[3]))
    if not row or not matches:
        return None
    return Holder(row["user_id"], f"key_{parts[2]}", row)


def hash_of(secret: str) -> str:
    """Return a plain hash. That is enough: the secret has 256 random bits, too many to guess."""
    return sha256(secret.encode()).hexdigest()
