"""Reads members of Stripe's objects.

Raises UnreadableError for a member that is missing or of another type.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

CHARS_MAX: Final = 255
_T = TypeVar("_T")


class UnreadableError(Exception):
    """Raised for a member that is missing or of the wrong type.

    Stripe's documentation says which type is right.
    """


def member(subject: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    """Return the member ``name``, which must be of the type ``kind``.

    Raises UnreadableError if it is missing or of another type.
    """
    value = subject.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UnreadableError(name)
    return value


def text(subject: Mapping[str, Any], name: str) -> str:
    """Return a member that is one of Stripe's ids or codes.

    Raises UnreadableError unless it is ASCII text of 1 to 255 characters.
    """
    if is_short(value := member(subject, name, str)):
        return value
    raise UnreadableError(name)


def is_short(value: str) -> bool:
    """Return whether a text has the form of Stripe's ids and codes.

    That is ASCII with 1 to 255 characters
    (https://docs.stripe.com/upgrades). Longer text would not fit into the
    keys of our tables.
    """
    return 0 < len(value) <= CHARS_MAX and value.isascii()


def signed(subject: Mapping[str, Any], name: str) -> int:
    """Return a member that is an integer, negative or not.

    Raises UnreadableError if it is anything else.
    """
    return member(subject, name, int)


def whole(subject: Mapping[str, Any], name: str) -> int:
    """Return the member ``name`` of one of Stripe's objects, an integer.

    Raises UnreadableError unless it is an integer of zero or more.
    """
    if (value := signed(subject, name)) < 0:
        raise UnreadableError(name)
    return value


def reference(subject: Mapping[str, Any], name: str) -> str | None:
    """Return the id in a member, or the id of the expanded object there.

    Returns None if the member has no id, and raises UnreadableError if the
    id is not ASCII or is longer than 255 characters.
    """
    value = subject.get(name)
    if isinstance(value, dict):
        value = value.get("id")
    if not isinstance(value, str) or not value:
        return None
    if not is_short(value):
        raise UnreadableError(name)
    return value
