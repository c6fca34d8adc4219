"""The rows of the cost table: which calls each matches, and which row comes first."""

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
"""What a path has between slashes when it is decoded, as an application sees it."""


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


def is_path(path: Any) -> bool:
    """Return whether a row may have this path: variables anywhere, a greedy one at its end."""
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
    """Return the segments of a path that begins with a slash."""
    return tuple(path.split("/")[1:])


def segments_of(path: str) -> tuple[str, ...]:
    """Return the path's segments, with variables of any name alike."""
    return tuple(
        "{+}"
        if _GREEDY.fullmatch(part)
        else "{}"
        if _VARIABLE.fullmatch(part)
        else part
        for part in split_path(path)
    )
