"""Manages API keys for the seller's own API: creates, lists, finds and revokes them.

A key is shown once and stored as a hash. All keys of a user spend one quota.
"""

import hmac
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from hashlib import sha256
from itertools import islice
from typing import Annotated, Final

from billing.answers import Member
from billing.books import Books
from billing.clock import stamp
from billing.errors import (
    BillingError,
    ConditionFailedError,
    Item,
    NotDoneError,
    OutcomeUnknownError,
    RetryableError,
)
from billing.keys import counting
from billing.keys.counting import ID, counters, name_write
from billing.keys.figures import Key, show
from billing.keys.limits import Limit
from billing.quota import present
from billing.quota.balance import Balance
from billing.quota.key_days import BUMP, Uses, fold, read_both, write_uses
from billing.quota.key_use import gone, left, name_of, used
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write, absent, creates, equals, exists

_KEY: Final = re.compile(r"tk_([a-z]{1,20})_([0-9a-f]{24})_([0-9A-Za-z_-]{43})")
LIVE_MAX: Final = counting.LIVE_MAX
NAME_CHARS_MAX: Final = 100
NO_HASH: Final = "0" * 64
"""Compared with where there is no such key, so that the answer takes as long as for one."""
LISTED_MAX: Final = 1000
"""Users who made more keys before there was a limit see these; as they revoke some, they see the
rest."""
COUNT: Final = "count"
"""A user's row that counts their live keys, beside the keys themselves.

``live`` is how many there are. ``changes`` grows with every revocation and recount, so that a
recount that began before is refused as stale.
"""
KEY_AT: Final = 0
"""The key's own place in both transactions."""
COUNT_AT: Final = 2
"""The count's place in both transactions."""
ACCOUNT_AT: Final = 3
"""The balance's place in both transactions."""
NAME_AT: Final = 5
"""The short name's place in the transaction that creates a key."""
FOLDS_MAX: Final = 3
"""How often a revocation tries to move the key's total away from the balance."""


@dataclass(frozen=True, slots=True)
class NewKey(Key):
    """A new API key with its secret. Only this answer ever shows the secret."""

    key: Annotated[str, Member(pattern="^tk_", description="shown this once")]


@dataclass(frozen=True, slots=True)
class Holder:
    """The user and the id of a valid API key."""

    user_id: str
    key_id: str
    row: Item = field(default_factory=dict, compare=False)
    """The row that the key was found by. It has the key's name and limit too."""


def create(
    books: Books,
    user_id: str,
    stage: str,
    name: str,
    limit: Limit | None = None,
) -> NewKey:
    """Create an API key. Raises ``too_many_keys`` if the user has LIVE_MAX already.

    The count is a condition of the write, so a race cannot exceed LIVE_MAX.
    """
    secret, owner = secrets.token_urlsafe(32), user_key(user_id)
    for _ in books.store.deadline.attempts(pauses=False):
        number = secrets.token_hex(12)
        row: Item = {"name": name, "created_at": stamp(books.clock())}
        if limit:
            row |= {"limit": limit.to_item()}
        writes = _creation(user_id, number, secret, row, limit)
        try:
            _commit_counted(books, owner, writes)
        except ConditionFailedError as refused:
            if NAME_AT in refused.old:
                continue  # an earlier key has this short name: draw another id
            raise
        made = show(
            {**row, "id": f"key_{number}"},
            Balance(),
            Uses({}, {}),
            books.clock(),
        )
        shown = {of.name: getattr(made, of.name) for of in fields(made)}
        return NewKey(**shown, key=f"tk_{stage}_{number}_{secret}")
    message = "no free id was found before the deadline; no key was made"
    raise NotDoneError(message)


def _creation(
    user_id: str, number: str, secret: str, row: Item, limit: Limit | None
) -> tuple[Write, ...]:
    """Return the writes that make a key. All or nothing::

    0  keys    user#, key_      name, created_at, limit      if there is none
    1  keys    key#, key        hash, user, name, limit      if there is none
    2  keys    user#, count     live += 1                    if there is a place
    3  quotas  user, quota      u = 0, r = the limit
    4  quotas  user, uses       the key's id and window
    5  keys    user#, name#     the key's id                 if the name was never used
    """  # noqa: D415 - a drawing follows
    owner, key_id = user_key(user_id), f"key_{number}"
    has_place = Must("live", "<", LIVE_MAX)
    found_by = {**row, "hash": _hash(secret), "user_id": user_id}
    return (
        creates("keys", (owner, key_id), row),
        creates("keys", (f"key#{number}", "key"), found_by),
        _count(owner, {"live": 1}, has_place),
        *counters(user_id, key_id, limit),
        name_write(user_id, key_id, absent("owner")),
    )


def list_all(books: Books, user_id: str) -> list[Key]:
    """Return a user's keys with their limits and use, oldest first."""
    rows = list(
        islice(books.store.pages("keys", user_key(user_id), "key_"), LISTED_MAX)
    )
    if not rows:
        return []
    balance, uses = read_both(books.store, user_id)
    balance = present.read(books, user_id, balance)
    now = books.clock()
    keys = [show(row, balance, uses, now) for row in rows]
    return sorted(keys, key=lambda key: (key.created_at, key.key_id))


def revoke(books: Books, user_id: str, key_id: str) -> None:
    """Revoke an API key for good. Its use stays counted.

    Raises ``not_found`` for another user's key and for a revoked key.
    """
    missing = no_such_key()
    if not re.fullmatch(ID, key_id):
        raise missing
    owner = user_key(user_id)
    has_some = Must("live", ">", 0)
    writes = (
        Write("keys", (owner, key_id), delete=True, must=(exists("owner"),)),
        Write(
            "keys", (f"key#{key_id.removeprefix('key_')}", "key"), delete=True
        ),
        _count(owner, {"live": -1, "changes": 1}, has_some),
        *_stop_counting(user_id, key_id),
    )
    try:
        _commit_counted(books, owner, writes)
    except ConditionFailedError as refused:
        if KEY_AT in refused.old:
            raise missing from refused
        _revoke_uncounted(books, user_id, key_id, writes)
    _put_away(books, user_id, key_id)


def _revoke_uncounted(
    books: Books, user_id: str, key_id: str, writes: tuple[Write, ...]
) -> None:
    """Revoke a key that was never counted, unless a concurrent debit began to count it."""
    uncounted = Write(
        "quotas",
        (user_id, "quota"),
        add=BUMP,
        must=(absent(used(name_of(key_id))),),
    )
    changed = (*writes[:ACCOUNT_AT], uncounted, write_uses(user_id, {}))
    try:
        _commit_counted(books, user_key(user_id), changed)
    except ConditionFailedError as refused:
        if KEY_AT in refused.old:
            raise no_such_key() from refused
        revoke(books, user_id, key_id)


def _stop_counting(user_id: str, key_id: str) -> tuple[Write, Write]:
    """Return the writes that end a key's counters.

    What it used is copied by the database: no concurrent debit is lost, and none is in the way.
    """
    name = name_of(key_id)
    account = Write(
        "quotas",
        (user_id, "quota"),
        add=BUMP,
        copy={gone(name): used(name)},
        remove=(used(name), left(name)),
        must=(exists(used(name)),),
    )
    return account, write_uses(user_id, {})


def _put_away(books: Books, user_id: str, key_id: str) -> None:
    """Move a revoked key's total to its own row, so that the balance's row stays small.

    The change of the day does it where this fails.
    """
    for _ in range(FOLDS_MAX):
        with suppress(ConditionFailedError, RetryableError):
            if writes := fold(books.store, user_id, key_id):
                books.store.commit(*writes)
            return


def no_such_key() -> BillingError:
    """Return the error for a key that the user does not have."""
    return BillingError("not_found", "you have no such key")


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
    if not row or not matches:
        return None
    return Holder(row["user_id"], f"key_{parts[2]}", row)


def _count(owner: str, change: Mapping[str, int], bound: Must) -> Write:
    """Return the write that counts one key more or less."""
    return Write("keys", (owner, COUNT), add=change, must=(bound,))


def _commit_counted(
    books: Books, owner: str, writes: tuple[Write, ...]
) -> None:
    """Commit a change of a key together with the user's count of live keys.

    Raises BillingError ``too_many_keys`` when there is no place, and ConditionFailedError when
    another row refuses.
    """
    for _ in books.store.deadline.attempts():
        try:
            return books.store.commit(*writes)
        except ConditionFailedError as refused:
            if set(refused.old) != {COUNT_AT}:
                raise
            live = _recount(books, owner, refused.old[COUNT_AT])
            if live >= LIVE_MAX and not writes[KEY_AT].delete:
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
