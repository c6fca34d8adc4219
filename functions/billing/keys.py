"""API keys for the seller's own API: shown once, stored as hashes, revoked for good. All keys of a user spend one quota."""

import hmac
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from billing.books import Books
from billing.errors import BillingError, RefusedError
from billing.identity import user_key
from billing.times import stamp
from billing.writes import Write, creates, exists

_KEY: Final = re.compile(r"tk_([a-z]{1,20})_([0-9a-f]{24})_([0-9A-Za-z_-]{43})")
ID: Final = "^key_[0-9a-f]{24}$"
NAME_CHARS_MAX: Final = 100
NOBODY: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose key it is."""

    user_id: str
    key_id: str


def create(books: Books, user_id: str, stage: str, name: str) -> dict[str, Any]:
    """Make a key. The answer is the only place where it ever stands in clear."""
    number, secret = secrets.token_hex(12), secrets.token_urlsafe(32)
    key_id, created_at = f"key_{number}", stamp(books.clock())
    books.store.commit(
        creates("keys", (user_key(user_id), key_id), {"name": name, "created_at": created_at}),
        creates("keys", (f"key#{number}", "key"), {"hash": _hash(secret), "user_id": user_id}),
    )
    return {"key_id": key_id, "key": f"tk_{stage}_{number}_{secret}", "name": name, "created_at": created_at}


def list_all(books: Books, user_id: str) -> list[dict[str, Any]]:
    """A user's keys, without secrets, oldest first."""
    rows = books.store.pages("keys", user_key(user_id))
    keys = [{"key_id": row["id"], "name": row["name"], "created_at": row["created_at"]} for row in rows]
    return sorted(keys, key=lambda key: (key["created_at"], key["key_id"]))


def revoke(books: Books, user_id: str, key_id: str) -> None:
    """From now on it works nowhere. ``not_found`` for another user's, and for one that is revoked already."""
    missing = BillingError("not_found", "you have no such key")
    if not re.fullmatch(ID, key_id):
        raise missing
    try:
        books.store.commit(
            Write("keys", (user_key(user_id), key_id), delete=True, must=(exists("owner"),)),
            Write("keys", (f"key#{key_id.removeprefix('key_')}", "key"), delete=True),
        )
    except RefusedError as refused:
        raise missing from refused


def holder(books: Books, stage: str, presented: str) -> Holder | None:
    """Whose key this is, or None for anything else. Compared in constant time, also when there is no such key."""
    parts = _KEY.fullmatch(presented)
    if parts is None or parts[1] != stage:
        return None
    row = books.store.get("keys", (f"key#{parts[2]}", "key"))
    matches = hmac.compare_digest(row["hash"] if row else NOBODY, _hash(parts[3]))
    return Holder(row["user_id"], f"key_{parts[2]}") if row and matches else None


def _hash(secret: str) -> str:
    """A plain hash will do: the secret has 256 random bits, nobody can try them all."""
    return sha256(secret.encode()).hexdigest()
