"""Checks parameters strictly against the stripe package's own typed parameters.

The package's types allow any string for an enumeration, and they include the client's own options.
Stripe accepts neither.
"""

import importlib
import re
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    Required,
    Union,
    cast,
    get_args,
    get_origin,
)

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError, with_config
from pydantic_core import PydanticCustomError
from stripe._request_options import RequestOptions
from stripe._stripe_context import StripeContext
from stripe._stripe_object import UntypedStripeObject
from typing_extensions import TypedDict, is_typeddict

from infra.stripe_simulator.errors import StripeFault

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_CLIENT_OPTIONS: Final = frozenset(RequestOptions.__annotations__)
_ORDER: Final = ("extra_forbidden", "missing")


def check(module: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters, converted to their types.

    ``module`` is the module of the stripe package that declares them, for example
    ``checkout._session_create_params``. Raises StripeFault, with Stripe's message, for a parameter
    that is unknown, missing or of a wrong type.
    """
    try:
        return dict(_adapter(module).validate_python(given))
    except ValidationError as error:
        raise _fault(error) from error


def _integer(value: object) -> int:
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        raise PydanticCustomError("stripe_integer", "Invalid integer")
    return int(value)


def _boolean(value: object) -> bool:
    if value not in ("true", "false"):
        raise PydanticCustomError("stripe_boolean", "Invalid boolean")
    return value == "true"


_SCALARS: Final[dict[Any, Any]] = {
    int: Annotated[int, BeforeValidator(_integer)],
    bool: Annotated[bool, BeforeValidator(_boolean)],
}


@cache
def _adapter(module: str) -> TypeAdapter[Any]:
    """Return the pydantic adapter that checks parameters as ``module`` declares them.

    ``module`` is a module of the stripe package. The adapter is made at its first use, and then
    kept, because making it is slow: a Checkout Session alone has about 300 types.
    """
    loaded = importlib.import_module(f"stripe.params.{module}")
    words = module.rpartition(".")[2].strip("_").split("_")
    return TypeAdapter(_strict(getattr(loaded, "".join(word.capitalize() for word in words))))


@cache
def _strict_dict(declared: type) -> type:
    """Return a copy of the TypedDict ``declared`` that allows no other keys."""
    loaded = importlib.import_module(declared.__module__)
    names = {
        **vars(typing),
        **vars(loaded),
        "StripeContext": StripeContext,
        "Decimal": Decimal,
        "UntypedStripeObject": UntypedStripeObject,
    }
    hints = typing.get_type_hints(declared, globalns=names, include_extras=True)
    fields = {name: _strict(hint) for name, hint in hints.items() if name not in _CLIENT_OPTIONS}
    # the fields are known at run time only
    make = cast("Callable[[str, dict[str, Any]], type]", TypedDict)
    return with_config(ConfigDict(extra="forbid"))(make(declared.__name__, fields))


def _strict(hint: Any) -> Any:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if is_typeddict(hint):
        return _strict_dict(hint)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        # UP007: the members are known at run time only.
        return Union[tuple(_strict(member) for member in _members(inner))]  # noqa: UP007
    if origin in (NotRequired, Required, list, dict):
        members = tuple(_strict(member) for member in inner)
        return origin[members if len(members) > 1 else members[0]]
    return hint


def _members(inner: tuple[Any, ...]) -> list[Any]:
    """Return the members of a union type, without those that Stripe's API does not accept.

    The stripe package's own object type is left out. So is ``str`` beside a Literal, because it
    would allow any value. It stays if the Literal has only "".
    """
    kept = [member for member in inner if get_origin(member) is not UntypedStripeObject]
    named = {
        value for member in kept if get_origin(member) is Literal for value in get_args(member)
    }
    return [member for member in kept if member is not str] if named - {""} else kept


def _fault(error: ValidationError) -> StripeFault:
    """Return Stripe's error for the most important one of pydantic's errors.

    An unknown parameter comes first, then a missing one, then the most deeply nested wrong type.
    """
    row = min(
        error.errors(),
        key=lambda row: (
            _ORDER.index(row["type"]) if row["type"] in _ORDER else len(_ORDER),
            -len(row["loc"]),
        ),
    )
    param = _param(row["loc"])
    write, code = _COMPLAINTS.get(row["type"], (_invalid, ""))
    return StripeFault(400, write(param, row), code=code, param=param)


def _param(location: tuple[int | str, ...]) -> str:
    """Return the parameter's name, as ``line_items[0][quantity]``.

    pydantic also names the members of a union that it tried. They are left out.
    """
    first, *rest = [
        str(part)
        for part in location
        if isinstance(part, int) or (re.fullmatch(r"[a-z0-9_*.]+", part) and part not in _TRIED)
    ]
    return first + "".join(f"[{part}]" for part in rest)


_TRIED: Final = frozenset(("str", "int", "bool", "decimal", "constrained-str"))


def _invalid(param: str, row: Any) -> str:
    given = row["input"]
    if row["type"] == "dict_type":
        return f"Invalid object: {param} must be a hash"
    if row["type"] == "list_type":
        return f"Invalid array: {param} must be an array"
    if row["type"] == "string_type":
        return f"Invalid string: {param} must be a string"
    return f"Invalid {param}: {given}" if isinstance(given, str) else f"Invalid {param}"


def _not_one_of(param: str, row: Any) -> str:
    return f"Invalid {param}: must be one of {str(row['ctx']['expected']).replace(chr(39), '')}"


_COMPLAINTS: Final[dict[str, tuple[Callable[[str, Any], str], str]]] = {
    "extra_forbidden": (
        lambda param, _: f"Received unknown parameter: {param}",
        "parameter_unknown",
    ),
    "missing": (lambda param, _: f"Missing required param: {param}.", "parameter_missing"),
    "stripe_integer": (
        lambda _, row: f"Invalid integer: {row['input']}",
        "parameter_invalid_integer",
    ),
    "stripe_boolean": (lambda _, row: f"Invalid boolean: {row['input']}", ""),
    "literal_error": (_not_one_of, ""),
}
