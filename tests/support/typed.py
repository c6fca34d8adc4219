"""Compares JSON with the typed objects of the ``stripe`` package, which Stripe generates from its
own API description.

https://github.com/stripe/stripe-python#types
"""

from collections.abc import Iterator
from decimal import Decimal
from types import NoneType
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin

import stripe
from stripe import StripeObject

Kind = type[StripeObject]


def members(kind: Kind) -> dict[str, Any]:
    """Return the members that an object of this class may have, with their annotations."""
    return {
        name: annotation
        for name, annotation in kind.__annotations__.items()
        if not (name.startswith("_") or name == "OBJECT_NAME")
    }


def is_nullable(annotation: Any) -> bool:
    """Return whether null is permitted."""
    return NoneType in get_args(annotation)


def whole(kind: Kind, **given: Any) -> dict[str, Any]:
    """Return an object with every member that Stripe may send.

    Those that are not given, and may be, are null.
    """
    nulls = {name: None for name, annotation in members(kind).items() if is_nullable(annotation)}
    name = getattr(kind, "OBJECT_NAME", "")
    return {**({"object": name} if name else {}), **nulls, **given}


def lacking(kind: Kind, value: dict[str, Any], place: str = "") -> Iterator[str]:
    """Yield the members that Stripe always sends and that ``value`` or a part
    of it does not have.
    """
    for name, annotation in members(kind).items():
        where = f"{place}.{name}" if place else name
        if name not in value and not is_nullable(annotation):
            yield where
        elif isinstance(value.get(name), dict) and (part := _part(annotation)):
            yield from lacking(part, value[name], where)


def _part(annotation: Any) -> Kind | None:
    """Return the class that is written inside another one: a part that is no object of its own."""
    options = get_args(annotation) or (annotation,)
    return next(
        (
            one
            for one in options
            if isinstance(one, type) and issubclass(one, StripeObject) and "." in one.__qualname__
        ),
        None,
    )


def faults(kind: Kind, value: dict[str, Any], place: str = "") -> Iterator[str]:
    """Yield each member that the class does not have, and each value that it does not permit."""
    permitted = members(kind)
    for name, one in value.items():
        where = f"{place}.{name}" if place else name
        if name not in permitted:
            yield f"{where} is no member of {kind.__qualname__}"
        else:
            yield from _wrong(permitted[name], one, where)


def _wrong(annotation: Any, value: Any, place: str) -> Iterator[str]:
    if get_origin(annotation) is Union:
        yield from _wrong_in_union(get_args(annotation), value, place)
    elif (found := _check(annotation, value, place)) is not None:
        yield from found


def _wrong_in_union(options: tuple[Any, ...], value: Any, place: str) -> Iterator[str]:
    """Of known words and any text, the known words count: a made-up status would prove nothing."""
    closed = [
        option
        for option in options
        if not (option is str and any(get_origin(one) is Literal for one in options))
    ]
    tried = [list(_wrong(option, value, place)) for option in closed]
    if all(tried):
        yield min(tried, key=lambda one: one[0].startswith(f"{place} "))[
            0
        ]  # the one that came deepest


def _check(annotation: Any, value: Any, place: str) -> Iterator[str] | None:
    """Return what is wrong, or None if nothing is."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return None
    if isinstance(annotation, ForwardRef):
        return _check_expanded(annotation.__forward_arg__, value, place)
    if origin is Literal:
        return None if value in parts else iter([f"{place} is {value!r}, not one of {parts}"])
    if origin is list:
        if isinstance(value, list):
            return (
                fault
                for number, one in enumerate(value)
                for fault in _wrong(parts[0], one, f"{place}.{number}")
            )
        return iter([f"{place} is no list"])
    return _check_class(origin or annotation, parts, value, place)


def _check_class(
    kind: type, parts: tuple[Any, ...], value: Any, place: str
) -> Iterator[str] | None:
    if kind is Decimal:
        kind = str  # in JSON: https://docs.stripe.com/currencies
    if not issubclass(kind, StripeObject):
        return (
            None if type(value) is kind else iter([f"{place} is {value!r}, not of {kind.__name__}"])
        )
    if not isinstance(value, dict):
        return iter([f"{place} is {value!r}, not an object"])
    if kind is stripe.ListObject:
        return (
            fault
            for number, one in enumerate(value["data"])
            for fault in _wrong(parts[0], one, f"{place}.data.{number}")
        )
    if kind.__name__ == "UntypedStripeObject":
        return (
            fault
            for name, one in value.items()
            for fault in _wrong(parts[0], one, f"{place}.{name}")
        )
    return faults(kind, value, place)


def _check_expanded(name: str, value: Any, place: str) -> Iterator[str] | None:
    """An object where an id could be.

    The package imports some classes as ``CardResource`` and the like.
    """
    if not isinstance(value, dict):
        return iter([f"{place} is {value!r}, not an object"])
    return faults(getattr(stripe, name.removesuffix("Resource")), value, place)
