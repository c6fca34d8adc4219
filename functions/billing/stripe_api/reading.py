"""Reads members of Stripe's objects. A member that is missing or of another type raises."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

CHARS_MAX: Final = 255
_T = TypeVar("_T")


class UnreadableError(Exception):
    """A member is missing or of another type than Stripe documents."""


def member(subject: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    """Return a member of this type. Raises UnreadableError."""
    value = subject.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UnreadableError(name)
    return value


def text(subject: Mapping[str, Any], name: str) -> str:
    """Return a member that is one of Stripe's ids or codes. Raises UnreadableError."""
    if is_short(value := member(subject, name, str)):
        return value
    raise UnreadableError(name)


def is_short(value: str) -> bool:
    """Return whether a text has the form of Stripe's ids and codes: ASCII, 1 to 255 characters.

    https://docs.stripe.com/upgrades. No more fits into a key of ours.
    """
    return 0 < len(value) <= CHARS_MAX and value.isascii()


def signed(subject: Mapping[str, Any], name: str) -> int:
    """Return a whole number, negative or not. Raises UnreadableError."""
    return member(subject, name, int)


def whole(subject: Mapping[str, Any], name: str) -> int:
    """Return a whole number from zero on. Raises UnreadableError."""
    if (value := signed(subject, name)) < 0:
        raise UnreadableError(name)
    return value


def reference(subject: Mapping[str, Any], name: str) -> str | None:
    """Return an id, or the id of the expanded object in its place, or None."""
    value = subject.get(name)
    if isinstance(value, dict):
        value = value.get("id")
    if not isinstance(value, str) or not value:
        return None
    if not is_short(value):
        raise UnreadableError(name)
    return value
