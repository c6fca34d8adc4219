"""Reads the text of a cost table as JSON, with the line of every member.

A cost table says how many units each call of the seller's API costs.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_SPACE: Final = re.compile(r"[ \t\r\n]*")


class CostsError(Exception):
    """The cost table (how many units each call costs) is invalid.

    The message names every error and its line.
    """


class JsonObject(dict[str, Any]):
    """A JSON object.

    ``twice`` has the names that occur in it more than once. json.loads
    would silently keep the last.
    """

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        """Create it from ``pairs``: names and values, in the text's order."""
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.twice = sorted({name for name in names if names.count(name) > 1})


def parse(text: str) -> tuple[JsonObject, dict[str, list[int]]]:
    """Return the cost table, and the line numbers of its members.

    For a member that is a list, they are the lines on which its elements
    start. Raises CostsError if the text is not a JSON object.
    """
    try:
        table = json.loads(text, object_pairs_hook=JsonObject)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise CostsError(
            f"line {line}: {getattr(error, 'msg', error)}"
        ) from error
    if not isinstance(table, JsonObject):
        line = text.count("\n", 0, _end_of_space(text, 0)) + 1
        raise CostsError(f"line {line}: the table must be an object")
    return table, dict(_lines(text))


def _lines(text: str) -> Iterator[tuple[str, list[int]]]:
    """Yield each member's name, and the number of the line of its value.

    ``text`` must be a JSON object. If the value is a list, there is a line
    number for each of its elements.
    """
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
    """Yield the position in ``text`` at which each element starts.

    ``at`` is the position after the list's ``[``.
    """
    while True:
        at = _skip(text, at, ",")
        if text[at] == "]":
            return
        yield at
        _, at = decoder.raw_decode(text, at)


def _skip(text: str, at: int, mark: str) -> int:
    """Return the position after spaces and at most one ``mark``.

    ``mark`` is a character, for example a comma.
    """
    at = _end_of_space(text, at)
    return _end_of_space(text, at + 1) if text[at] == mark else at


def _end_of_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
