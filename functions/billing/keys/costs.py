"""Reads the cost table: how many units each call of the seller's API costs.

With ``cost_text`` and ``routes`` it imports nothing else of billing, so that a
client can use the same table. Of the rows that match a call, the most specific
one counts, in this order: the method and the path, ``ANY`` and the path, a
path with variables, then ``{proxy+}``, the longest first. For a call that no
row matches, the default counts::

    {"default": 1, "routes": [
        {"method": "GET", "path": "/v1/search/{proxy+}", "units": 2},
        {"method": "ANY", "path": "/health", "units": 0}]}

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from billing.keys.cost_text import CostsError, JsonObject, parse
from billing.keys.routes import METHODS, Route, is_path, segments_of, split_path

FILE: Final = Path(__file__).with_name("call_costs.json")
"""The file in which the seller says how many units each call costs."""
UNITS_MAX: Final = 10**9
MEMBERS: Final = frozenset({"default", "routes"})
ROW_MEMBERS: Final = frozenset({"method", "path", "units"})


@dataclass(frozen=True, slots=True)
class Costs:
    """How many units a call of the seller's API costs.

    ``routes`` are rows that each match some calls, the most specific first.
    ``default`` is for calls that no row matches.
    """

    routes: tuple[Route, ...]
    default: int | None = None
    """None if the table has no default."""

    def find(self, method: str, path: str) -> int | None:
        """Return the units that a call costs, or None if no row matches.

        The first row that matches counts. ``path`` is decoded and has no
        query, as the application sees it.
        """
        if not path.startswith("/"):
            return None
        segments = split_path(path)
        for route in self.routes:
            if route.fits(method.upper(), segments):
                return route.units
        return None


def load(text: str) -> Costs:
    """Return the cost table (units for each call) in a JSON text.

    Raises CostsError for unknown members, for units that are negative,
    fractional or more than 10^9, and for rows that no call can reach.
    """
    table, lines = parse(text)
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
        Route(row["method"], segments_of(row["path"]), row["units"])
        for row in rows
    ]
    ranked = sorted(routes, key=lambda route: route.rank)
    return Costs(tuple(ranked), table.get("default"))


def _row_faults(row: Any, line: int) -> list[str]:
    if not isinstance(row, JsonObject):
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
    if not is_path(row["path"]):
        example = "/v1/search/{proxy+}"
        faults.append(
            f"line {line}: path must be like {example}, greedy at its end only"
        )
    return [*faults, *_unit_faults(row["units"], "units", line)]


def _reach_faults(
    row: Mapping[str, Any], line: int, seen: dict[tuple[Any, Any], int]
) -> list[str]:
    """Return a list with an error if an earlier row has the same calls.

    That is the same method and path: such a row of the cost table can never
    count. Otherwise the list is empty, and the row is added to ``seen``, which
    has the lines of the earlier rows.
    """
    place = (row["method"], segments_of(row["path"]))
    if place in seen:
        return [
            f"line {line}: unreachable, line {seen[place]} has the same calls"
        ]
    seen[place] = line
    return []


def _never_any(seen: Mapping[tuple[Any, Any], int]) -> Iterator[str]:
    """Yield an error for each ``ANY`` row of the cost table that no call uses.

    That is so if each HTTP method has a row of its own for the same path.
    ``seen`` has the line number of each row, by its method and path.
    """
    for (method, shape), line in seen.items():
        others = (other for other in METHODS if other != "ANY")
        if method == "ANY" and all((other, shape) in seen for other in others):
            yield f"line {line}: unreachable, each method has a row of its own"


def _unit_faults(units: Any, name: str, line: int) -> list[str]:
    if type(units) is int and 0 <= units <= UNITS_MAX:
        return []
    return [f"line {line}: {name} must be a whole number from 0 to {UNITS_MAX}"]


def _unknown(
    found: JsonObject, known: frozenset[str], line: int
) -> Iterator[str]:
    for name in sorted(set(found) - known):
        yield f"line {line}: {name[:40]!r} is unknown"
    for name in found.twice:
        yield f"line {line}: {name[:40]!r} stands twice in one object"
