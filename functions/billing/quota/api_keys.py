"""Manages API keys for the seller's own API: creates, lists, finds and revokes them.

A key is shown once and stored as a hash. All keys of a user spend one quota.
"""

import hmac
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Annotated, Final

from billing.answers import Member, Time
from billing.books import Books
from billing.clock import stamp
from billing.errors import (
    BillingError,
    ConditionFailedError,
    Item,
    OutcomeUnknownError,
)
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write, absent, creates, equals, exists

_KEY: Final = re.compile(r"tk_([a-z]{1,20})_([0-9a-f]{24})_([0-9A-Za-z_-]{43})")
ID: Final = "^key_[0-9a-f]{24}$"
NAME_CHARS_MAX: Final = 100
NO_HASH: Final = "0" * 64
"""Compared with where there is no such key, so that the answer takes as long as for one."""
LIVE_MAX: Final = 32
"""Live keys of one user. Revoking one frees its place."""
LISTED_MAX: Final = 1000
"""Users who made more keys before there was a limit see these; as they revoke some, they see the
rest."""
COUNT: Final = "count"
"""A user's row that counts their live keys, beside the keys themselves.

``live`` is how many there are. ``changes`` grows with every revocation and recount, so that a
recount that began before is refused as stale.
"""
COUNT_AT: Final = 2
"""Its place in both transactions."""


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its secret."""

    key_id: str
    name: str
    created_at: Time


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new API key with its secret. Only this answer ever shows the secret."""

    key: Annotated[str, Member(pattern="^tk_", description="shown this once")]
    key_id: str
    name: str
    created_at: Time


@dataclass(frozen=True, slots=True)
class Holder:
    """The user and the id of a valid API key."""

    user_id: str
    key_id: str


def create(books: Books, user_id: str, stage: str, name: str) -> NewKey:
    """Create an API key. Raises ``too_many_keys`` if the user has LIVE_MAX already.

    The count is a condition of the write, so a race cannot exceed LIVE_MAX.
    """
    number, secret = secrets.token_hex(12), secrets.token_urlsafe(32)
    owner, key_id, created_at = (
        user_key(user_id),
        f"key_{number}",
        stamp(books.clock()),
    )
    has_place = Must("live", "<", LIVE_MAX)
    writes = (
        creates("keys", (owner, key_id), {"name": name, "created_at": created_at}),
        creates(
            "keys",
            (f"key#{number}", "key"),
            {"hash": _hash(secret), "user_id": user_id},
        ),
        _count(owner, {"live": 1}, has_place),
    )
    _commit_counted(books, owner, writes)
    return NewKey(f"tk_{stage}_{number}_{secret}", key_id, name, created_at)


def list_all(books: Books, user_id: str) -> list[Key]:
    """Return a user's API keys, oldest first."""
    rows = islice(books.store.pages("keys", user_key(user_id), "key_"), LISTED_MAX)
    keys = [Key(row["id"], row["name"], row["created_at"]) for row in rows]
    return sorted(keys, key=lambda key: (key.created_at, key.key_id))


def revoke(books: Books, user_id: str, key_id: str) -> None:
    """Revoke an API key for good.

    Raises ``not_found`` for another user's key and for a revoked key.
    """
    missing = BillingError("not_found", "you have no such key")
    if not re.fullmatch(ID, key_id):
        raise missing
    owner = user_key(user_id)
    has_some = Must("live", ">", 0)
    writes = (
        Write("keys", (owner, key_id), delete=True, must=(exists("owner"),)),
        Write("keys", (f"key#{key_id.removeprefix('key_')}", "key"), delete=True),
        _count(owner, {"live": -1, "changes": 1}, has_some),
    )
    try:
        _commit_counted(books, owner, writes)
    except ConditionFailedError as refused:
        raise missing from refused


def holder(books: Books, stage: str, presented: str) -> Holder | None:
    """Return the holder of a secret key, or None for any other text.

    The comparison takes constant time, also without such a key.
    """
    parts = _KEY.fullmatch(presented)
    if parts is None or parts[1] != stage:
        return None
    row = books.store.get("keys", (f"key#{parts[2]}", "key"))
    stored = row["hash"] if row else NO_HASH
    matches = hmac.compare_digest(stored, _hash(parts[3]))
    return Holder(row["user_id"], f"key_{parts[2]}") if row and matches else None


def _count(owner: str, change: Mapping[str, int], bound: Must) -> Write:
    """Return the write that counts one key more or less."""
    return Write("keys", (owner, COUNT), add=change, must=(exists("owner"), bound))


def _commit_counted(
    books: Books, owner: str, writes: tuple[Write, Write, Write]
) -> None:
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
    """Count a user's live keys and store the number, unless a key was changed concurrently.

    Keys made before there was a count are counted here, at the first change. A count is also
    corrected when it is full or empty: an older version of the function, still running while a new
    one is deployed, changes keys without it. A full count leaves no place for a concurrent key, and
    a concurrent revocation changes ``changes``, so what was counted is still true when it is
    written.
    """
    live = sum(1 for _ in books.store.pages("keys", owner, "key_"))
    if seen and seen["live"] == live:
        return live
    unchanged = equals("changes", seen["changes"]) if seen else absent("owner")
    counted = Write(
        "keys",
        (owner, COUNT),
        set={"live": live},
        add={"changes": 1},
        must=(unchanged,),
    )
    with suppress(
        ConditionFailedError
    ):  # counted or changed by a concurrent request
        books.store.commit(counted)
    return live


def _no_place() -> BillingError:
    most = f"you have {LIVE_MAX} live keys, which is the most"
    detail = f"{most}; revoke one that is no longer used, then create this one"
    return BillingError("too_many_keys", detail)


def _hash(secret: str) -> str:
    """Return a plain hash. That is enough: the secret has 256 random bits, too many to guess."""
    return sha256(secret.encode()).hexdigest()
