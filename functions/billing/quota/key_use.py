"""Counts on the user's balance what each API key has used and may still use.

The balance row has up to three attributes for a key, each a letter and the key's short name:

``u``
    units that the key used, ever. It is there exactly while the key is live.
``r``
    units left of its limit in the current window, or of NO_LIMIT. An open hold counts.
``x``
    what ``u`` was when the key was revoked, until that is moved to the key's own row.

So a keyed debit is one write, like a plain one, and the same write with or without a limit: a
caller need not know which it is.
"""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Final, NamedTuple

from billing.errors import Item
from billing.quota.balance import Balance, is_counter
from billing.quota.movement import Movement
from billing.storage.writes import Must, absent, exists

NAME_BYTES: Final = 3
"""Bytes of a key's short name: 4 characters. 32 keys stay below one KiB."""
NO_LIMIT: Final = 10**12
"""What a key without a limit has left. What it uses is given back each day, so it is never used up.
A round number takes two bytes:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html"""
LIMITED_BELOW: Final = 10**11
"""What is left of a limit is always less, what is left of NO_LIMIT always more."""


class KeyUse(NamedTuple):
    """The API key that a debit or hold takes units for."""

    key_id: str
    is_limited: bool = False
    """Whether the balance that was seen last shows a limit."""

    @property
    def name(self) -> str:
        """Return the key's short name."""
        return name_of(self.key_id)

    def as_in(self, balance: Balance) -> "KeyUse":
        """Return the key with the limit that a balance shows."""
        return self._replace(
            is_limited=left_of_limit(balance, self.name) is not None
        )


class KeyNotCountedError(Exception):
    """The balance has no counters of this key: it is new, revoked or another user's."""


class KeyLimitReachedError(Exception):
    """The key's limit is reached, and nothing was taken."""

    def __init__(self, units_left: int) -> None:
        """``units_left`` of the limit; below zero where the limit was lowered."""
        super().__init__("the key's limit is reached")
        self.units_left = max(0, units_left)


def name_of(key_id: str) -> str:
    """Return a key's short name. It is computed from the key's id, without a read."""
    digest = sha256(key_id.encode()).digest()[:NAME_BYTES]
    return base64.urlsafe_b64encode(digest).decode()


def weight(name: str) -> int:
    """Return a short name as a number above zero, which no other name has."""
    return int.from_bytes(base64.urlsafe_b64decode(name)) + 1


def used(name: str) -> str:
    """Return the name of the attribute that counts a live key's use."""
    return f"u{name}"


def left(name: str) -> str:
    """Return the name of the attribute with what is left of a key's limit."""
    return f"r{name}"


def gone(name: str) -> str:
    """Return the name of the attribute with a revoked key's use."""
    return f"x{name}"


def left_of_limit(balance: Balance, name: str) -> int | None:
    """Return what is left of a key's limit, or None if it has none. It may be negative."""
    units = balance.keys.get(left(name), NO_LIMIT)
    return units if units < LIMITED_BELOW else None


def limit_remaining(balance: Balance, key: KeyUse | None) -> int | None:
    """Return what an answer shows as left of a key's limit: at least zero, None without a limit."""
    units = left_of_limit(balance, key.name) if key else None
    return None if units is None else max(0, units)


def spend(key: KeyUse | None, units: int, *, is_use: bool) -> Movement:
    """Return the additions and conditions of a debit (``is_use``) or a hold for its key."""
    if key is None:
        return Movement({})
    add = {used(key.name): units} if is_use else {}
    is_live_and_enough = Must(left(key.name), ">=", units)
    return Movement({**add, left(key.name): -units}, (is_live_and_enough,))


def moved(balance: Balance, movement: Movement) -> Balance:
    """Return the balance after a movement of the keys' counters."""
    changed = {
        name: balance.keys.get(name, 0) + units
        for name, units in movement.add.items()
        if is_counter(name)
    }
    return replace(balance, keys={**balance.keys, **changed})


def give_back(balance: Balance, held: Mapping[str, int]) -> Movement:
    """Return the movement that returns held units to the keys' limits, by short name."""
    add: dict[str, int] = {}
    must: list[Must] = []
    for name, units in held.items():
        if left(name) in balance.keys:
            add[left(name)] = units
            must.append(exists(left(name)))
        else:
            must.append(absent(left(name)))
    return Movement(add, tuple(must))


def held_by_key(rows: Iterable[Item]) -> dict[str, int]:
    """Return the units in rows of holds, by the short name of their key."""
    units = Counter[str]()
    for row in rows:
        if key_id := row.get("key_id"):
            units[name_of(key_id)] += row["units"]
    return dict(units)
