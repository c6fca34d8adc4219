"""Defines writes and their conditions, independently of DynamoDB's syntax."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

Table = Literal["payments", "quotas", "events", "ledger", "keys", "notices"]
KEY_NAMES: Mapping[str, tuple[str, str]] = {
    "payments": ("owner", "id"),
    "quotas": ("user_id", "item"),
    "events": ("subject", "fact_id"),
    "ledger": ("user_id", "entry_id"),
    "keys": ("owner", "id"),
    "notices": ("user_id", "notice"),
}
Operator = Literal["exists", "absent", "==", ">=", "<=", "<", ">"]
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Must(NamedTuple):
    """One clause of a write's condition. All clauses of a write must hold.

    With ``or_absent`` the clause also holds if the attribute does not exist.
    """

    name: str
    operator: Operator
    value: Any = None
    or_absent: bool = False


class Write(NamedTuple):
    """One item's part of an atomic transaction.

    ``set``, ``add`` and ``remove`` create the item if it does not exist.

    A write that has only ``must`` changes nothing and checks the condition. ``delete`` deletes the
    item.
    """

    table: Table
    key: tuple[str, str]
    set: Mapping[str, Any] = NOTHING
    add: Mapping[str, int | frozenset[str]] = NOTHING
    """Integers are added to the stored number, sets are united with the stored
    set.
    """
    remove: tuple[str, ...] = ()
    must: tuple[Must, ...] = ()
    delete: bool = False
    copy: Mapping[str, str] = NOTHING
    """The attributes to set, each with the attribute of the same item whose
    value, before this write, it gets.
    """
    subtract: Mapping[str, tuple[int, str]] = NOTHING
    """The attributes to set, each with a number and the attribute of the same
    item whose value, before this write, is subtracted from that number.
    """

    @property
    def is_check(self) -> bool:
        """Return whether the write only checks conditions."""
        written = (self.set, self.add, self.remove, self.copy, self.subtract)
        return not (self.delete or any(written))


def equals(name: str, value: object) -> Must:
    """Return the condition that the attribute ``name`` has this value.

    A write with it is refused if the stored value is another one.
    """
    return Must(name, "==", value)


def absent(name: str) -> Must:
    """Return the clause that the attribute does not exist. For a key attribute: no such item."""
    return Must(name, "absent")


def exists(name: str) -> Must:
    """Return the condition that the item has the attribute ``name``.

    With a key attribute, the condition is that there is an item with the key.
    """
    return Must(name, "exists")


def absent_or(name: str, operator: Operator, value: object) -> Must:
    """Return a write's condition: the attribute is absent, or passes a test.

    The test compares it with ``value``: ``operator`` is for example "<".
    """
    return Must(name, operator, value, or_absent=True)


def creates(
    table: Table, key: tuple[str, str], values: Mapping[str, Any]
) -> Write:
    """Return the write of a new item. DynamoDB refuses it if the item exists already."""
    return Write(table, key, set=values, must=(absent(KEY_NAMES[table][0]),))
