"""Reads the JSON of a table of call costs, and knows the line that each row begins in."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
ROW: Final = frozenset({"method", "path", "units"})
TABLE: Final = frozenset({"default", "routes"})
_SPACE: Final = re.compile(r"[ \t\r\n]*")


class BadTableError(ValueError):
    """The table cannot be used."""

    def __init__(self, line: int, message: str) -> None:
        """``line``: where it is wrong, from 1."""
        super().__init__(f"line {line}: {message}")
        self.line: Final = line


@dataclass(frozen=True, slots=True)
class Located(Generic[T]):
    """A value, and the line that it begins in."""

    value: T
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """The members of the file, as they are."""

    default: Located[Any] | None
    rows: Sequence[Located[Mapping[str, Any]]]


def whole_table(text: str) -> Table:
    """Return the table. Raise ``BadTableError`` for anything but its members."""
    try:
        found = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise BadTableError(error.lineno, f"this is not JSON: {error.msg}") from error
    start = _after(text, 0)
    _check_members(Located(found, _line(text, start)), TABLE, frozenset())
    places = dict(_members(text, start))
    rows = list(_rows(text, found["routes"], places["routes"])) if "routes" in found else []
    if "default" not in found:
        return Table(None, rows)
    return Table(Located(found["default"], _line(text, places["default"])), rows)


def _rows(text: str, routes: object, place: int) -> Iterator[Located[Mapping[str, Any]]]:
    if not isinstance(routes, list):
        raise BadTableError(_line(text, place), "routes must be a list")
    for row, start in zip(routes, _elements(text, place), strict=True):
        found = Located(row, _line(text, start))
        _check_members(found, ROW, ROW)
        yield found


def _check_members(found: Located[Any], known: frozenset[str], needed: frozenset[str]) -> None:
    if not isinstance(found.value, _Object):
        raise BadTableError(found.line, f"{found.value!r} is no object")
    names = found.value.names
    if len(set(names)) < len(names) or not needed <= set(names) <= known:
        raise BadTableError(found.line, f"the members must be {sorted(known)}, not {names}")


def _members(text: str, start: int) -> Iterator[tuple[str, int]]:
    """The name of each member of the object at ``start``, and where its value begins."""
    place = _after(text, start + 1)
    while text[place] != "}":
        name, place = _DECODER.raw_decode(text, place)
        value = _after(text, _after(text, place) + 1)
        yield name, value
        place = _past(text, value)


def _elements(text: str, start: int) -> Iterator[int]:
    """Where each element of the list at ``start`` begins."""
    place = _after(text, start + 1)
    while text[place] != "]":
        yield place
        place = _past(text, place)


def _past(text: str, value: int) -> int:
    """Where what follows a value begins: the next one, or the end of its list or object."""
    _, end = _DECODER.raw_decode(text, value)
    place = _after(text, end)
    return _after(text, place + 1) if text[place] == "," else place


def _after(text: str, place: int) -> int:
    """The next place that is no white space."""
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1


class _Object(dict[str, Any]):
    """An object, and the names of its members as often as they are there."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.names = sorted(name for name, _ in pairs)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_Object)
