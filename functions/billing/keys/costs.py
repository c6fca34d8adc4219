"""Reads what a call of the seller's API costs, from a table of routes.

It imports nothing of billing, so that a client can use the same table. The most exact row counts:
the method and the path, ``ANY`` and the path, a path with variables, then ``{proxy+}``, the longest
first, and the default::

    {"default": 1, "routes": [{"method": "GET", "path": "/v1/search/{proxy+}", "units": 2},
                              {"method": "ANY", "path": "/health", "units": 0}]}

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("call_costs.json")
"""The seller's table."""
UNITS_MAX: Final = 10**9
METHODS: Final = (
    "ANY",
    "DELETE",
    "GET",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "POST",
    "PUT",
)
MEMBERS: Final = frozenset({"default", "routes"})
ROW_MEMBERS: Final = frozenset({"method", "path", "units"})
_VARIABLE: Final = re.compile(r"\{[A-Za-z0-9._-]+\}")
_GREEDY: Final = re.compile(r"\{[A-Za-z0-9._-]+\+\}")
_SEGMENT: Final = re.compile(r"[^{}/?#%\s]+")
"""What a path has between slashes when it is decoded, as an application sees it."""
_SPACE: Final = re.compile(r"[ \t\r\n]*")


class CostsError(Exception):
    """The cost table is invalid. The message names every error and its line."""


class _Object(dict[str, Any]):
    """A JSON object. ``twice``: the names that it has more than once, which JSON would not tell."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = sorted({name for name in names if names.count(name) > 1})


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the cost table.

    ``segments`` is the path, split: ``{}`` for a variable, ``{+}`` for a greedy one.
    """

    method: str
    segments: tuple[str, ...]
    units: int

    @property
    def rank(self) -> tuple[bool, int, int, bool]:
        """Return a sort key: the more exact row comes first."""
        is_greedy = self.segments[-1:] == ("{+}",)
        variables = sum(segment == "{}" for segment in self.segments)
        return is_greedy, -len(self.segments), variables, self.method == "ANY"

    def fits(self, method: str, segments: tuple[str, ...]) -> bool:
        """Return whether the row matches a call."""
        if self.method not in ("ANY", method):
            return False
        own = self.segments
        if own[-1:] == ("{+}",):
            own = own[:-1]
            if not any(segments[len(own) :]):
                return False
            segments = segments[: len(own)]
        return len(own) == len(segments) and all(
            one == other or (one == "{}" and other)
            for one, other in zip(own, segments, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Costs:
    """The cost table: its rows, the most exact first, and the default cost."""

    routes: tuple[Route, ...]
    default: int | None = None
    """None: the table does not say."""

    def find(self, method: str, path: str) -> int | None:
        """Return the cost of a call by its row, or None without a row.

        The path is compared as the application sees it: decoded, without the query.
        """
        if not path.startswith("/"):
            return None
        segments = _split(path)
        for route in self.routes:
            if route.fits(method.upper(), segments):
                return route.units
        return None


def load(text: str) -> Costs:
    """Return the table in a JSON text.

    Raises CostsError for unknown members, for units that are negative, fractional or more than
    10^9, and for rows that no call can reach.
    """
    table, lines = _parse(text)
    faults = list(_unknown(table, MEMBERS, 1))
    if "default" in table:
        (line, *_) = lines["default"] or [1]
        faults += _unit_faults(table["default"], "default", line)
    rows = table.get("routes", [])
    if not isinstance(rows, list):
        raise CostsError(f"line {lines['routes'][0]}: routes must be a list")
    seen: dict[tuple[Any, Any], int] = {}
    for row, line in zip(rows, lines.get("routes", []), strict=True):
        faults += _row_faults(row, line) or _reach_faults(row, line, seen)
    faults += _never_any(seen)
    if faults:
        raise CostsError("; ".join(faults))
    routes = [
        Route(row["method"], _shape(row["path"]), row["units"]) for row in rows
    ]
    ranked = sorted(routes, key=lambda route: route.rank)
    return Costs(tuple(ranked), table.get("default"))


def _row_faults(row: Any, line: int) -> list[str]:
    if not isinstance(row, _Object):
        return [f"line {line}: a route must be an object"]
    missing = [
        f"line {line}: {name} is missing"
        for name in sorted(ROW_MEMBERS - set(row))
    ]
    faults = [*_unknown(row, ROW_MEMBERS, line), *missing]
    if faults:
        return faults
    if row["method"] not in METHODS:
        faults.append(
            f"line {line}: method must be one of {', '.join(METHODS)}"
        )
    if not _is_path(row["path"]):
        example = "/v1/search/{proxy+}"
        faults.append(
            f"line {line}: path must be like {example}, greedy at its end only"
        )
    return [*faults, *_unit_faults(row["units"], "units", line)]


def _reach_faults(
    row: Mapping[str, Any], line: int, seen: dict[tuple[Any, Any], int]
) -> list[str]:
    """Find a row that can never count, because an earlier one has the same calls."""
    place = (row["method"], _shape(row["path"]))
    if place in seen:
        return [
            f"line {line}: unreachable, line {seen[place]} has the same calls"
        ]
    seen[place] = line
    return []


def _never_any(seen: Mapping[tuple[Any, Any], int]) -> Iterator[str]:
    """Find rows for any method that never count, because each method has a row of its own."""
    for (method, shape), line in seen.items():
        others = (other for other in METHODS if other != "ANY")
        if method == "ANY" and all((other, shape) in seen for other in others):
            yield f"line {line}: unreachable, each method has a row of its own"


def _unit_faults(units: Any, name: str, line: int) -> list[str]:
    if type(units) is int and 0 <= units <= UNITS_MAX:
        return []
    return [f"line {line}: {name} must be a whole number from 0 to {UNITS_MAX}"]


def _unknown(found: _Object, known: frozenset[str], line: int) -> Iterator[str]:
    for name in sorted(set(found) - known):
        yield f"line {line}: {name[:40]!r} is unknown"
    for name in found.twice:
        yield f"line {line}: {name[:40]!r} stands twice in one object"


def _is_path(path: Any) -> bool:
    if not isinstance(path, str) or not path.startswith("/"):
        return False
    *inner, last = _split(path)
    plain = [*inner] if _GREEDY.fullmatch(last) else [*inner, last]
    return path == "/" or all(
        _VARIABLE.fullmatch(segment)
        or (_SEGMENT.fullmatch(segment) and segment not in (".", ".."))
        for segment in plain
    )


def _split(path: str) -> tuple[str, ...]:
    """Return the segments of a path that begins with a slash."""
    return tuple(path.split("/")[1:])


def _shape(path: str) -> tuple[str, ...]:
    """Return the path's segments, with variables of any name alike."""
    return tuple(
        "{+}"
        if _GREEDY.fullmatch(part)
        else "{}"
        if _VARIABLE.fullmatch(part)
        else part
        for part in _split(path)
    )


def _parse(text: str) -> tuple[_Object, dict[str, list[int]]]:
    """Return the table, and the lines on which a member's value, or its elements, begin."""
    try:
        table = json.loads(text, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise CostsError(
            f"line {line}: {getattr(error, 'msg', error)}"
        ) from error
    if not isinstance(table, _Object):
        line = text.count("\n", 0, _end_of_space(text, 0)) + 1
        raise CostsError(f"line {line}: the table must be an object")
    return table, dict(_lines(text))


def _lines(text: str) -> Iterator[tuple[str, list[int]]]:
    """Yield each member's name and lines, in a text that is known to be an object in JSON."""
    decoder, at = json.JSONDecoder(), text.index("{") + 1
    while True:
        at = _skip(text, at, ",")
        if text[at] == "}":
            return
        name, at = decoder.raw_decode(text, at)
        at = _skip(text, at, ":")
        is_list = text[at] == "["
        places = list(_elements(text, at + 1, decoder)) if is_list else [at]
        yield name, [text.count("\n", 0, place) + 1 for place in places]
        _, at = decoder.raw_decode(text, at)


def _elements(text: str, at: int, decoder: json.JSONDecoder) -> Iterator[int]:
    """Yield where each element of a list begins."""
    while True:
        at = _skip(text, at, ",")
        if text[at] == "]":
            return
        yield at
        _, at = decoder.raw_decode(text, at)


def _skip(text: str, at: int, mark: str) -> int:
    """Return the place behind spaces, and behind one ``mark`` among them."""
    at = _end_of_space(text, at)
    return _end_of_space(text, at + 1) if text[at] == mark else at


def _end_of_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
