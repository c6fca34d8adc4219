"""Builds JSON Schemas (2020-12): texts, numbers, records, lists, and dataclasses of answers."""

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    get_args,
    get_origin,
    get_type_hints,
)

Schema = dict[str, Any]
TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
MAYBE_COUNT: Final[Schema] = {"type": ["integer", "null"], "minimum": 0}
MAYBE_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}


def ref(name: str) -> Schema:
    """Return a reference to the schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(**properties: Schema) -> Schema:
    """Return the JSON schema of an object that requires all ``properties``.

    These are the schemas of the object's members, by name.
    """
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
    }


def schema_of(answer: type) -> Schema:
    """Return the schema of an answer's dataclass. A member with a default is optional."""
    hints = get_type_hints(answer, include_extras=True)
    declared = fields(answer)
    return {
        "type": "object",
        "required": [
            field.name for field in declared if field.default is MISSING
        ],
        "properties": {
            field.name: _of_type(hints[field.name]) for field in declared
        },
    }


JSON_TYPES: Final = {str: "string", int: "integer", bool: "boolean"}


def _of_type(hint: Any) -> Schema:
    """Return the JSON schema of one member, from its type annotation.

    The annotation may be ``Annotated`` with a billing.answers.Member, which
    adds keywords such as ``minimum``. It may also be a Literal, an optional
    type or another dataclass.
    """
    origin = get_origin(hint)
    if origin is Annotated:
        base, *said = get_args(hint)
        schema = _of_type(base)
        for member in said:
            schema |= {
                name: value
                for name, value in member._asdict().items()
                if value is not None
            }
        return schema
    if origin is Literal:
        return one_of(get_args(hint))
    if origin is UnionType or NoneType in get_args(hint):
        (some,) = (kind for kind in get_args(hint) if kind is not NoneType)
        schema = _of_type(some)
        return schema | {"type": [schema["type"], "null"]}
    if isinstance(hint, type) and is_dataclass(hint):
        return schema_of(hint)
    return {"type": JSON_TYPES[hint]}


def list_of(name: str, most: int) -> Schema:
    """Return the schema of a list of at most ``most`` items.

    ``name`` is the name of the items' schema.
    """
    return {"type": "array", "items": ref(name), "maxItems": most}


def one_of(values: tuple[str, ...]) -> Schema:
    """Return the schema of a text that must be one of ``values``."""
    return {"type": "string", "enum": list(values)}
