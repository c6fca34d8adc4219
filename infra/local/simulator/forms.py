"""Parameters as Stripe takes them: form-encoded with brackets, held against the stripe package's own typed parameters."""

import importlib
import re
import sys
import typing
from collections.abc import Iterable
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl

import pydantic
from pydantic import TypeAdapter, ValidationError
from typing_extensions import is_typeddict

from infra.local.simulator.errors import StripeFault

_PART: Final = re.compile(r"\[([^\]]*)\]")
_CODES: Final = {
    "extra_forbidden": ("parameter_unknown", "Received unknown parameter: {param}"),
    "missing": ("parameter_missing", "Missing required param: {param}."),
    "int_parsing": ("parameter_invalid_integer", "Invalid integer: {input}"),
    "int_from_float": ("parameter_invalid_integer", "Invalid integer: {input}"),
    "bool_parsing": ("parameter_invalid_boolean", "Invalid boolean: {input}"),
}


def parse(text: str) -> dict[str, Any]:
    """``a[b][0]=c`` becomes ``{"a": {"b": ["c"]}}``."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        head, *_ = name.split("[", 1)
        _insert(tree, [head, *_PART.findall(name[len(head) :])], value)
    return {name: _lists(value) for name, value in tree.items()}


def check(module: str, params: dict[str, Any]) -> dict[str, Any]:
    """Typed values, or Stripe's own complaint. ``module`` as in ``checkout._session_create_params``."""
    options = [
        name for name in params if name in ("api_key", "stripe_version", "stripe_account", "stripe_context", "idempotency_key", "headers")
    ]
    if options:  # the library's own, not Stripe's
        raise StripeFault(400, f"Received unknown parameter: {options[0]}", code="parameter_unknown", param=options[0])
    try:
        return dict(_adapter(module).validate_python(params))
    except ValidationError as error:
        raise _fault(error) from error


@cache
def _adapter(module: str) -> TypeAdapter[Any]:
    """stripe's TypedDicts, made strict: every one of them forbids what it does not name."""
    loaded = importlib.import_module(f"stripe.params.{module}")
    last = module.rpartition(".")[2].strip("_")
    name = "".join(word.capitalize() for word in last.split("_"))
    for member in vars(loaded).values():
        if is_typeddict(member):
            member.__pydantic_config__ = {"extra": "forbid", "arbitrary_types_allowed": True}  # type: ignore[attr-defined]
    names: dict[str, Any] = {**vars(typing), **vars(sys.modules["builtins"]), **vars(loaded)}
    for extra in ("stripe._stripe_context:StripeContext", "decimal:Decimal", "stripe._stripe_object:UntypedStripeObject"):
        where, what = extra.split(":")
        names[what] = getattr(importlib.import_module(where), what)
    adapter: TypeAdapter[Any] = TypeAdapter(getattr(loaded, name), config=None, _parent_depth=0)
    adapter.rebuild(_types_namespace=names)
    return adapter


def _fault(error: ValidationError) -> StripeFault:
    """The complaint that a person would make first: unknown, then missing, then ill-typed."""
    rows = sorted(
        error.errors(),
        key=lambda row: ("extra_forbidden", "missing").index(row["type"]) if row["type"] in ("extra_forbidden", "missing") else 2,
    )
    row = rows[0]
    path = [str(part) for part in row["loc"] if not _is_label(part)]
    param = path[0] + "".join(f"[{part}]" for part in path[1:])
    code, message = _CODES.get(row["type"], ("parameter_invalid_value", "Invalid value for {param}: {input}"))
    return StripeFault(400, message.format(param=param, input=row["input"]), code=code, param=param)


def _is_label(part: object) -> bool:
    """pydantic names the member of a union in the location, as ``list[...]`` or a type's name."""
    return isinstance(part, str) and ("[" in part or part[:1].isupper() or part in ("int", "str", "bool", "function-wrap[lenient]"))


def _insert(tree: dict[str, Any], path: list[str], value: str) -> None:
    for part, after in zip(path, path[1:], strict=False):
        del after
        step = tree.setdefault(part, {})
        if not isinstance(step, dict):
            raise StripeFault(400, f"Invalid hash for parameter {path[0]}", code="parameter_invalid_hash", param=path[0])
        tree = step
    last = path[-1] or str(len(tree))
    if last in tree:
        raise StripeFault(400, f"Duplicated parameter: {path[0]}", code="parameter_invalid_value", param=path[0])
    tree[last] = value


def _lists(value: Any) -> Any:  # noqa: ANN401 - forms nest freely
    if not isinstance(value, dict):
        return value
    inner = {name: _lists(member) for name, member in value.items()}
    return list(inner.values()) if inner and _numbers(inner) else inner


def _numbers(names: Iterable[str]) -> bool:
    return all(name.isdigit() for name in names)


assert pydantic.VERSION.startswith("2.")  # noqa: S101 - TypeAdapter.rebuild is new in 2
