"""Defines the rows of the cost table: which calls each row matches.

A row says how many units the calls that it matches cost. The most specific row
comes first.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

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
_VARIABLE: Final = re.compile(r"\{[A-Za-z0-9._-]+\}")
_GREEDY: Final = re.compile(r"\{[A-Za-z0-9._-]+\+\}")
_SEGMENT: Final = re.compile(r"[^{}/?#%\s]+")
"""The part of a decoded path between two slashes, as an application sees it.
"""


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the cost table: what the calls that it matches cost.

    ``segments`` are the parts of the path: ``{}`` stands for a variable,
    ``{+}`` for a variable that matches several parts.
    """

    method: str
    segments: tuple[str, ...]
    units: int

    @property
    def rank(self) -> tuple[bool, int, int, bool]:
        """Return a sort key by which the more specific row comes first.

        The rows are those of the cost table. Rows without a greedy variable
        (``{proxy+}``) come first, then longer paths, then those with fewer
        variables, and ``ANY`` after a method.
        """
        is_greedy = self.segments[-1:] == ("{+}",)
        variables = sum(segment == "{}" for segment in self.segments)
        return is_greedy, -len(self.segments), variables, self.method == "ANY"

    def fits(self, method: str, segments: tuple[str, ...]) -> bool:
        """Return whether this row of the cost table is for a call.

        ``method`` is the call's HTTP method, and ``segments`` are the parts of
        its path.
        """
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


def is_path(path: Any) -> bool:
    """Return whether ``path`` may be the path of a row of the cost table.

    The cost table says how many units each call of the seller's API costs.
    Variables may be anywhere, but a greedy one (``{proxy+}``) only at the end.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        return False
    *inner, last = split_path(path)
    plain = [*inner] if _GREEDY.fullmatch(last) else [*inner, last]
    return path == "/" or all(
        _VARIABLE.fullmatch(segment)
        or (_SEGMENT.fullmatch(segment) and segment not in (".", ".."))
        for segment in plain
    )


def split_path(path: str) -> tuple[str, ...]:
    """Return the parts of a path between slashes.

    The path must start with a slash.
    """
    return tuple(path.split("/")[1:])


def segments_of(path: str) -> tuple[str, ...]:
    """Return a path's parts, with ``{}`` for each variable.

    A greedy variable is ``{+}``. So paths that differ only in names of
    variables are equal.
    """
    return tuple(
        "{+}"
        if _GREEDY.fullmatch(part)
        else "{}"
        if _VARIABLE.fullmatch(part)
        else part
        for part in split_path(path)
    )
