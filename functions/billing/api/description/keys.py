"""Describes the operations of API keys.

The operation that returns the OpenAPI description is among them.
"""

from typing import Final

from billing.api import members
from billing.api.description.members import UNITS
from billing.api.description.operation import (
    Operation,
    in_path,
    link,
    with_optional,
)
from billing.api.description.schema import Schema, record
from billing.keys import api_keys, counting
from billing.keys.limits import PERS

NAME: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": api_keys.NAME_CHARS_MAX,
    "pattern": members.TEXT,
}
KEY_LIMIT: Final[Schema] = record(
    units=UNITS, per={"type": "string", "enum": list(PERS)}
) | {
    "type": ["object", "null"],
    "additionalProperties": False,
    "description": "at most so many units in each UTC day or month, or in all; null for none",
}


def of_keys() -> dict[str, dict[str, Operation]]:
    """Return the OpenAPI operations for managing API keys, by path and method.

    They create, list, change and revoke keys. Two more are among them: to show
    the API key with which a request is sent, and to return the OpenAPI
    description.
    """
    body = with_optional(record(name=NAME), limit=KEY_LIMIT)
    names = ("changeKey", "revokeKey")
    links = {name: link(name, "key_id", "key_id") for name in names}
    create = Operation(
        "createKey",
        "An API key, shown once",
        201,
        "NewKey",
        "user",
        ("invalid_request", "too_many_keys"),
        body,
        (),
        links,
    )
    listing = Operation(
        "listKeys", "Own keys, without secrets", 200, "Keys", "user"
    )
    held = Operation("showKey", "The key that is sent", 200, "HeldKey", "key")
    return {
        "/keys": {"post": create, "get": listing},
        "/keys/{key_id}": _of_one_key(),
        "/key": {"get": held},
        "/openapi.json": {
            "get": Operation("describe", "This description", 200, "Description")
        },
    }


def _of_one_key() -> dict[str, Operation]:
    one = (in_path("key_id", {"type": "string", "pattern": counting.ID}),)
    body = with_optional(record(), name=NAME, limit=KEY_LIMIT)
    change = Operation(
        "changeKey",
        "Rename it, or change its limit",
        200,
        "Key",
        "user",
        ("invalid_request", "too_many_keys"),
        body | {"minProperties": 1},
        one,
    )
    revoke = Operation(
        "revokeKey",
        "It works nowhere from now on",
        204,
        "",
        "user",
        (),
        None,
        one,
    )
    return {"patch": change, "delete": revoke}
