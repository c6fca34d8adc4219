"""What each call costs: a table of routes, checked when it is loaded.

The table is the JSON file that Topup's authorizer takes, too. Routes are written as API Gateway's:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from topup_client.json_lines import BadTableError, Located, whole_table

METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
"""Those that an HTTP API routes."""
ANY: Final = "ANY"
UNITS_MAX: Final = 10**9
_LITERAL: Final = re.compile(r"[^{}/?#%\s]+")
"""What a path has between slashes when it is decoded, as an application sees it."""
_VARIABLE: Final = re.compile(r"\{[A-Za-z0-9._-]+\}")
_GREEDY: Final = re.compile(r"\{[A-Za-z0-9._-]+\+\}")
_TEXT, _ONE, _REST = range(3)
"""Kinds of segments, most exact first."""


@dataclass(frozen=True, slots=True)
class _Route:
    """One row: a method or ANY, the segments of a path, and what such a call costs."""

    method: str
    segments: tuple[str, ...]
    kinds: tuple[int, ...]
    units: int
    line: int

    @property
    def is_greedy(self) -> bool:
        """Whether the last segment stands for all the rest of a path."""
        return self.kinds[-1] == _REST

    @property
    def shape(self) -> tuple[str | int, ...]:
        """The path without the names of its variables, which select nothing."""
        pairs = zip(self.segments, self.kinds, strict=True)
        return tuple(kind or segment for segment, kind in pairs)

    def exactness(self) -> tuple[bool, int, int, bool]:
        """Sort key: greedy paths last, longer ones first; fewer variables; a method before ANY."""
        return self.is_greedy, -len(self.kinds), self.kinds.count(_ONE), self.method == ANY

    def matches(self, method: str, segments: Sequence[str]) -> bool:
        """Whether this row says what such a call costs."""
        if self.method not in (method, ANY):
            return False
        own = self.segments[:-1] if self.is_greedy else self.segments
        fits = any(segments[len(own) :]) if self.is_greedy else len(segments) == len(own)
        return fits and all(
            segment == wanted if kind == _TEXT else segment
            for segment, wanted, kind in zip(segments, own, self.kinds, strict=False)
        )


class CallCosts:
    """The units of a call, by its method and path. A function of the ASGI scope, for ``units``.

    The most exact row counts: a path before one with ``{name}``, both before ``{proxy+}`` and that
    the longest first, a method before ``ANY``; ``default``, or 1, where no row matches. ``{name}``
    stands for one segment, ``{proxy+}`` at the end for one or more. Paths are compared as the
    application sees them, decoded: no spelling of a path makes it cheaper. The opening of a
    WebSocket is a GET.
    """

    def __init__(self, text: str) -> None:
        """Read a table. Raise ``ValueError`` with the line of the first row that is wrong."""
        table = whole_table(text)
        self.default: Final = 1 if table.default is None else _units(table.default)
        routes = [_route(row) for row in table.rows]
        _check_reachable(routes)
        self._routes: Final = sorted(routes, key=_Route.exactness)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read the table in a file. Raise ``ValueError`` with the line of what is wrong."""
        return cls(Path(path).read_text(encoding="utf-8"))

    def units(self, method: str, path: str) -> int:
        """What a call costs. 0: it passes, and nothing is taken."""
        segments = path.split("/")[1:]
        for route in self._routes:
            if route.matches(method.upper(), segments):
                return route.units
        return self.default

    def __call__(self, scope: Mapping[str, Any]) -> int:
        """What the call of an ASGI scope costs."""
        return self.units(scope.get("method", "GET"), scope["path"])


def _route(row: Located[Mapping[str, Any]]) -> _Route:
    method, path = row.value["method"], row.value["path"]
    if method not in METHODS | {ANY}:
        raise BadTableError(row.line, f"method must be ANY or one of {sorted(METHODS)}")
    if not isinstance(path, str) or not path.startswith("/"):
        raise BadTableError(row.line, f"path must begin with /, not {path!r}")
    segments = tuple(path.split("/")[1:])
    kinds = tuple(_kind(segment, path, row.line) for segment in segments)
    if _REST in kinds[:-1]:
        raise BadTableError(row.line, f"only the last segment may be greedy, not as in {path!r}")
    units = _units(Located(row.value["units"], row.line))
    return _Route(method, segments, kinds, units, row.line)


def _kind(segment: str, path: str, line: int) -> int:
    if path == "/":
        return _TEXT
    if _GREEDY.fullmatch(segment):
        return _REST
    if _VARIABLE.fullmatch(segment):
        return _ONE
    if _LITERAL.fullmatch(segment) and segment not in (".", ".."):
        return _TEXT
    raise BadTableError(line, f"no call has the segment {segment!r} of {path!r} in its path")


def _units(units: Located[Any]) -> int:
    if type(units.value) is not int or not 0 <= units.value <= UNITS_MAX:
        raise BadTableError(
            units.line, f"units must be a whole number from 0 to {UNITS_MAX}, not {units.value!r}"
        )
    return units.value


def _check_reachable(routes: Sequence[_Route]) -> None:
    """Raise for a row that no call can reach, because others are as exact, or more, for each."""
    lines: dict[tuple[str, tuple[str | int, ...]], int] = {}
    for route in routes:
        first = lines.setdefault((route.method, route.shape), route.line)
        if first != route.line:
            raise BadTableError(route.line, f"the row in line {first} has these calls")
    for route in routes:
        if route.method == ANY and all((method, route.shape) in lines for method in METHODS):
            raise BadTableError(route.line, "each method has a row of its own for this path")
