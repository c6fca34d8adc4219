"""Translates values into DynamoDB's types, and back.

Numbers are integers only, so that no float can enter the books.
"""

from collections.abc import Mapping
from typing import Any

from billing.errors import Item


def encode(value: object) -> dict[str, Any]:  # noqa: PLR0911 - one line a type
    """Return a Python value as a DynamoDB attribute value.

    Raises TypeError for any type except str, bool, int, dict, list and a set of strings.
    """
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, Mapping):
        return {"M": {name: encode(member) for name, member in value.items()}}
    if isinstance(value, frozenset | set):
        return {"SS": sorted(value)}
    if isinstance(value, list | tuple):
        return {"L": [encode(member) for member in value]}
    if value is None:
        return {"NULL": True}
    kind = type(value).__name__
    message = f"{kind} is not stored: books hold text, integers and collections of them"
    raise TypeError(message)


def decode(item: Mapping[str, Any]) -> Item:
    """Return an item of DynamoDB as plain Python values."""
    return {name: _decode(value) for name, value in item.items()}


def _decode(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "N":
        return int(content)
    if kind == "M":
        return decode(content)
    if kind == "L":
        return [_decode(member) for member in content]
    if kind == "SS":
        return frozenset(content)
    return None if kind == "NULL" else content
