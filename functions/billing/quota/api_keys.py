"""API keys for the seller's own API: shown once, stored as hashes, revoked for good.

All keys of a user spend one quota.
"""

import hmac
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any, Final

from billing.books import Books
from billing.clock import stamp
from billing.errors import BillingError, ConditionFailedError, Item, OutcomeUnknownError
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write, absent, creates, equals, exists

_KEY: Final = re.compile(r"tk_([a-z]{1,20})_([0-9a-f]{24})_([0-9A-Za-z_-]{43})")
ID: Final = "^key_[0-9a-f]{24}$"
NAME_CHARS_MAX: Final = 100
NOBODY: Final = "0" * 64
LIVE_MAX: Final = 32
"""Live keys of one user. Revoking one frees its place."""
LISTED_MAX: Final = 1000
"""Users who made more keys before there was a limit see these; as they revoke some, they see the
rest."""
COUNT: Final = "count"
"""A user's row that counts their live keys, beside the keys themselves.

Every change of a key is a change of it.
"""
COUNT_AT: Final = 2
"""Its place in both transactions."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose key it is."""

    user_id: str
    key_id: str


def create(books: Books, user_id: str, stage: str, name: str) -> dict[str, Any]:
    """Make a key. The answer is the only place where it ever stands in clear."""
    number, secret = secrets.token_hex(12), secrets.token_urlsafe(32)
    owner, key_id, created_at = user_key(user_id), f"key_{number}", stamp(books.clock())
    has_place = Must("live", "<", LIVE_MAX)
    writes = (
        creates("keys", (owner, key_id), {"name": name, "created_at": created_at}),
        creates("keys", (f"key#{number}", "key"), {"hash": _hash(secret), "user_id": user_id}),
        Write(
            "keys", (owner, COUNT), add={"live": 1, "changes": 1}, must=(exists("owner"), has_place)
        ),
    )
    _commit_counted(books, owner, writes)
    return {
        "key_id": key_id,
        "key": f"tk_{stage}_{number}_{secret}",
        "name": name,
        "created_at": created_at,
    }


def list_all(books: Books, user_id: str) -> list[dict[str, Any]]:
    """A user's keys, without secrets, oldest first."""
    rows = islice(books.store.pages("keys", user_key(user_id), "key_"), LISTED_MAX)
    keys = [
        {"key_id": row["id"], "name": row["name"], "created_at": row["created_at"]} for row in rows
    ]
    return sorted(keys, key=lambda key: (key["created_at"], key["key_id"]))


def revoke(books: Books, user_id: str, key_id: str) -> None:
    """From now on it works nowhere.

    ``not_found`` for another user's, and for one that is revoked already.
    """
    missing = BillingError("not_found", "you have no such key")
    if not re.fullmatch(ID, key_id):
        raise missing
    owner = user_key(user_id)
    has_some = Must("live", ">", 0)
    writes = (
        Write("keys", (owner, key_id), delete=True, must=(exists("owner"),)),
        Write("keys", (f"key#{key_id.removeprefix('key_')}", "key"), delete=True),
        Write(
            "keys", (owner, COUNT), add={"live": -1, "changes": 1}, must=(exists("owner"), has_some)
        ),
    )
    try:
        _commit_counted(books, owner, writes)
    except ConditionFailedError as refused:
        raise missing from refused


def holder(books: Books, stage: str, presented: str) -> Holder | None:
    """Whose key this is, or None for anything else.

    Compared in constant time, also when there is no such key.
    """
    parts = _KEY.fullmatch(presented)
    if parts is None or parts[1] != stage:
        return None
    row = books.store.get("keys", (f"key#{parts[2]}", "key"))
    matches = hmac.compare_digest(row["hash"] if row else NOBODY, _hash(parts[3]))
    return Holder(row["user_id"], f"key_{parts[2]}") if row and matches else None


def _commit_counted(books: Books, owner: str, writes: tuple[Write, Write, Write]) -> None:
    """Commit a change of a key together with the user's count of live keys.

    Raises BillingError ``too_many_keys`` when there is no place, and ConditionFailedError when the
    key's own row refuses.
    """
    for _ in books.store.deadline.attempts():
        try:
            return books.store.commit(*writes)
        except ConditionFailedError as refused:
            if set(refused.old) != {COUNT_AT}:
                raise
            live = _recount(books, owner, refused.old[COUNT_AT])
            if live >= LIVE_MAX and not writes[0].delete:
                raise _no_place() from refused
    message = "a key met other changes until the time was up"
    raise OutcomeUnknownError(message)


def _recount(books: Books, owner: str, seen: Item | None) -> int:
    """Count a user's live keys, and note the number unless somebody has changed a key meanwhile.

    Keys made before there was a count are counted here, at the first change. No change of a key can
    happen without the count's row, so that what was read is still true when the row is made. An
    older version of the function that still runs while a new one is deployed changes keys without
    it: the count is put right when it is full or empty.
    """
    live = sum(1 for _ in books.store.pages("keys", owner, "key_"))
    if seen and seen["live"] == live:
        return live
    unchanged = equals("changes", seen["changes"]) if seen else absent("owner")
    with suppress(ConditionFailedError):  # counted or changed by a concurrent request
        books.store.commit(
            Write("keys", (owner, COUNT), set={"live": live}, add={"changes": 1}, must=(unchanged,))
        )
    return live


def _no_place() -> BillingError:
    detail = f"you have {LIVE_MAX} live keys, which is the most; revoke one that is no longer used, then create this one"
    return BillingError("too_many_keys", detail)


def _hash(secret: str) -> str:
    """A plain hash will do: the secret has 256 random bits, nobody can try them all."""
    return sha256(secret.encode()).hexdigest()
