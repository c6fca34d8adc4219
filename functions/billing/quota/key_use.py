"""Counts on the user's balance what each API key has used and may still use.

The balance's row has up to three attributes for an API key. Each name is a
letter and the API key's short name, a hash of its id:

``u``
    units that the API key ever used. It exists exactly while the API key is
    live.
``r``
    units left of its limit in this day or month, or in all. Without a limit,
    what is left of the large number NO_LIMIT. Open holds are subtracted.
``x``
    the value of ``u`` when the API key was revoked, until it is moved to the
    API key's own row.

So a debit with an API key is one write, like a debit without one. The write is
the same with or without a limit, so the caller need not know whether there is
one.
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
"""The bytes of an API key's short name, which has 4 characters. The counters
of 32 API keys stay below one KiB.
"""
NO_LIMIT: Final = 10**12
"""What is left for an API key without a limit. Its use is given back each day,
so that this is never used up. A round number takes two bytes:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""
LIMITED_BELOW: Final = 10**11
"""What is left of a real limit is always less than this, and what is left of
NO_LIMIT is more.
"""


class KeyUse(NamedTuple):
    """Names the API key with which units are debited or held.

    It also says whether the key has a limit.
    """

    key_id: str
    is_limited: bool = False
    """Whether the balance that was read last shows a limit for the API key."""

    @property
    def name(self) -> str:
        """Return the API key's short name: four characters, a hash of its id.

        The names of the key's attributes in the balance contain it.
        """
        return name_of(self.key_id)

    def as_in(self, balance: Balance) -> "KeyUse":
        """Return the same API key, with ``is_limited`` read from ``balance``.

        ``is_limited`` is true if the balance shows a limit for the key.
        """
        return self._replace(
            is_limited=left_of_limit(balance, self.name) is not None
        )


class KeyNotCountedError(Exception):
    """The balance has no counters of this API key.

    The key is new, revoked or another user's.
    """


class KeyLimitReachedError(Exception):
    """The API key's limit is reached, and no units were taken."""

    def __init__(self, units_left: int) -> None:
        """``units_left`` is what is left of the API key's limit.

        It is negative if the limit was lowered below the use.
        """
        self.units_left = max(0, units_left)


def name_of(key_id: str) -> str:
    """Return the short name of an API key, a hash of its id.

    The balance counts the key's use in attributes whose names end with it.
    """
    digest = sha256(key_id.encode()).digest()[:NAME_BYTES]
    return base64.urlsafe_b64encode(digest).decode()


def weight(name: str) -> int:
    """Return a number above zero that differs for each API key of a user.

    ``name`` is the key's short name, a hash of its id. ``topup ledger verify``
    compares sums over all API keys, and multiplies each key's units by its
    number first. Otherwise too much for one key could cancel out too little
    for another.
    """
    return int.from_bytes(base64.urlsafe_b64decode(name)) + 1


def used(name: str) -> str:
    """Return the name of the attribute that counts what a live API key used.

    It is an attribute of the balance. ``name`` is the key's short name, a hash
    of its id.
    """
    return f"u{name}"


def left(name: str) -> str:
    """Return the attribute's name for the units left of an API key's limit.

    It is an attribute of the balance. ``name`` is the API key's short name, a
    hash of its id.
    """
    return f"r{name}"


def gone(name: str) -> str:
    """Return the name of the attribute for a revoked API key's use.

    The attribute is in the row of the user's balance. It has the units that
    the API key ever used. ``name`` is a hash of the API key's id.
    """
    return f"x{name}"


def left_of_limit(balance: Balance, name: str) -> int | None:
    """Return what is left of an API key's limit, or None without a limit.

    It is negative if the limit was lowered below the use.
    """
    units = balance.keys.get(left(name), NO_LIMIT)
    return units if units < LIMITED_BELOW else None


def limit_remaining(balance: Balance, key: KeyUse | None) -> int | None:
    """Return what to show as left of an API key's limit, or None.

    It is at least zero, and None without an API key or without a limit.
    """
    units = left_of_limit(balance, key.name) if key else None
    return None if units is None else max(0, units)


def spend(key: KeyUse | None, units: int, *, is_use: bool) -> Movement:
    """Return how a debit or hold changes the counters of its API key.

    What is left of the key's limit falls by ``units``, and DynamoDB refuses
    the change if less is left. With ``is_use``, for a debit, the key's use
    grows too. Without an API key nothing changes.
    """
    if key is None:
        return Movement({})
    add = {used(key.name): units} if is_use else {}
    is_live_and_enough = Must(left(key.name), ">=", units)
    return Movement({**add, left(key.name): -units}, (is_live_and_enough,))


def moved(balance: Balance, movement: Movement) -> Balance:
    """Return ``balance`` with new values of its API keys' counters.

    The counters are the units that each key has used, and what is left of its
    limit. ``movement`` says what to add to each. Nothing is written.
    """
    changed = {
        name: balance.keys.get(name, 0) + units
        for name, units in movement.add.items()
        if is_counter(name)
    }
    return replace(balance, keys={**balance.keys, **changed})


def give_back(balance: Balance, held: Mapping[str, int]) -> Movement:
    """Return the change of the balance that adds units to API keys' limits.

    The units were held and are not used after all. ``held`` has them by the
    short name of the API key, a hash of its id. A key without a limit is left
    as it is.
    """
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
    """Return how many units each API key has set aside in the given holds.

    ``rows`` are the holds' rows. The result is by the API key's short name, a
    hash of its id. Holds without an API key are left out.
    """
    units = Counter[str]()
    for row in rows:
        if key_id := row.get("key_id"):
            units[name_of(key_id)] += row["units"]
    return dict(units)
