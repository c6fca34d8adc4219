"""Defines one operation of the API, and its parameters, bodies and links."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from billing import cursors
from billing.api.description.schema import Schema

LIMIT: Final[Schema] = {
    "type": "integer",
    "minimum": 1,
    "maximum": cursors.LIMIT_MAX,
    "default": cursors.LIMIT_DEFAULT,
}
CURSOR: Final[Schema] = {
    "type": "string",
    "maxLength": cursors.CURSOR_CHARS_MAX,
    "pattern": "^[A-Za-z0-9_-]*$",
}
STRIPES: Final = ("stripe_unavailable", "stripe_refused")
REPEATS: Final = (
    "a repeat under the same key is answered as the first time, "
    "and another body under it refused"
)


@dataclass(frozen=True, slots=True)
class Operation:
    """Describes one operation of our API, for the OpenAPI document.

    ``answer`` names the schema of its response. ``who`` is the kind of caller,
    or "" if anyone may call it. ``codes`` are the errors of this operation, in
    addition to those of all operations.
    """

    name: str
    summary: str
    status: int
    answer: str
    who: str = ""
    codes: Sequence[str] = ()
    body: Schema | None = None
    parameters: Sequence[Schema] = ()
    links: Mapping[str, Schema] = field(default_factory=dict)
    also: int = 0
    """Another status of the same answer, for a repeat. 0 means none."""


def with_optional(body: Schema, **members: Schema) -> Schema:
    """Return the object schema ``body`` with optional members added."""
    return {**body, "properties": {**body["properties"], **members}}


def listing(name: str, summary: str, answer: str) -> Operation:
    """Return the description of an operation that lists objects by pages.

    It has the parameters ``limit`` and ``cursor``. ``answer`` names the schema
    of a page.
    """
    page = (
        parameter("limit", "query", LIMIT),
        parameter(
            "cursor",
            "query",
            CURSOR,
            "next_cursor of the page before; empty for the first",
        ),
    )
    return Operation(
        name, summary, 200, answer, "user", ("invalid_request",), None, page
    )


def parameter(
    name: str,
    place: str,
    schema: Schema,
    told: str = "",
    *,
    required: bool = False,
) -> Schema:
    """Return the description of a parameter.

    ``place`` says where it is sent: ``header``, ``query`` or ``path``.
    ``told`` is a sentence about it.
    """
    return {
        "name": name,
        "in": place,
        **({"required": True} if required else {}),
        "schema": schema,
        **({"description": told} if told else {}),
    }


def in_path(name: str, schema: Schema, told: str = "") -> Schema:
    """Return the description of a parameter that is a part of the path.

    ``told`` is a sentence about it.
    """
    return parameter(
        name, "path", {"minLength": 1} | schema, told, required=True
    )


def link(operation: str, parameter: str, member: str) -> dict[str, Any]:
    """Return an OpenAPI link to another operation.

    ``member`` of this operation's answer is sent as ``parameter`` of the other
    one.
    """
    return {
        "operationId": operation,
        "parameters": {parameter: f"$response.body#/{member}"},
    }
