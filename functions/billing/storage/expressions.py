"""Translates writes into DynamoDB's expressions, with pynamodb."""

from collections.abc import Iterator, Mapping
from functools import lru_cache, reduce
from itertools import count
from operator import and_
from typing import Any, Final, NamedTuple

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path, Value
from pynamodb.expressions.update import (
    AddAction,
    RemoveAction,
    SetAction,
    Update,
)

from billing.storage.values import encode
from billing.storage.writes import Write

SHAPES_MAX: Final = 256
_COMPARE: Final = {
    "==": Path.__eq__,
    ">=": Path.__ge__,
    "<=": Path.__le__,
    "<": Path.__lt__,
    ">": Path.__gt__,
}


def spell(write: Write) -> dict[str, Any]:
    """Return the condition and update expressions of one write.

    The dict holds members of a request to DynamoDB that UpdateItem and
    TransactWriteItems share: expressions, names and values.
    """
    names = _Names()
    shape = _shape(
        tuple(
            (names[must.name], must.operator, must.or_absent)
            for must in write.must
        ),
        tuple(map(names.__getitem__, write.set)),
        tuple(map(names.__getitem__, write.remove)),
        tuple(map(names.__getitem__, write.add)),
        (
            *(
                (names[new], names[old], False)
                for new, old in write.copy.items()
            ),
            *(
                (names[new], names[old], True)
                for new, (_, old) in write.subtract.items()
            ),
        ),
    )
    valued = (must.value for must in write.must if must.operator in _COMPARE)
    minuends = (number for number, _ in write.subtract.values())
    values = (*valued, *write.set.values(), *write.add.values(), *minuends)
    spelled = dict(shape.members)
    if names:
        real = list(names)
        spelled["ExpressionAttributeNames"] = {
            placeholder: real[number]
            for placeholder, number in shape.names.items()
        }
    if values:
        spelled["ExpressionAttributeValues"] = dict(
            zip(shape.placeholders, map(encode, values), strict=True)
        )
    return spelled


class _Names(dict[str, int]):
    """Numbers attribute names in the order in which a write uses them.

    A balance has attributes for each API key. With numbers in place of
    names, writes for different API keys share one cached expression.
    """

    def __missing__(self, name: str) -> int:
        number = self[name] = len(self)
        return number


class _Shape(NamedTuple):
    """Holds DynamoDB's expressions for a write, without its names and values.

    Numbers stand for them, so that the expressions are built once and serve
    all writes of the same form. ``spell`` puts the names and values of one
    write in.
    """

    members: Mapping[str, Any]
    placeholders: tuple[str, ...]
    """The values' placeholders, in this order: conditions, ``set``, ``add``,
    ``subtract``.
    """
    names: Mapping[str, int]
    """The number of each attribute name, by its placeholder."""


@lru_cache(maxsize=SHAPES_MAX)
def _shape(
    must: tuple[tuple[int, str, bool], ...],
    sets: tuple[int, ...],
    removes: tuple[int, ...],
    adds: tuple[int, ...],
    derived: tuple[tuple[int, int, bool], ...],
) -> _Shape:
    """Return DynamoDB's expressions for all writes of one form.

    Writes have the same form if they have conditions on, set, remove and add
    to the same attributes, or compute them from others (``derived``), whatever
    the values are. Numbers stand for the attributes' names and the values, so
    one cached result serves all of them. pynamodb builds the expressions.
    """
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    members: dict[str, Any] = {}
    numbers = (Value({"N": str(number)}) for number in count())
    if must:
        condition = reduce(
            and_, [_condition(*clause, numbers) for clause in must]
        )
        members["ConditionExpression"] = condition.serialize(names, values)
    if update := _update(sets, removes, adds, derived, numbers):
        members["UpdateExpression"] = update.serialize(names, values)
    return _Shape(
        members,
        tuple(
            sorted(
                values, key=lambda placeholder: int(values[placeholder]["N"])
            )
        ),
        # pynamodb collects name -> placeholder, DynamoDB wants placeholder -> name
        {placeholder: int(number) for number, placeholder in names.items()},
    )


def _condition(
    name: int,
    operator: str,
    or_absent: bool,  # noqa: FBT001 - a clause's own field
    numbers: Iterator[Value],
) -> Condition:
    path = _path(name)
    if operator == "exists":
        return path.exists()
    if operator == "absent":
        return path.does_not_exist()
    holds = _COMPARE[operator](path, next(numbers))
    return path.does_not_exist() | holds if or_absent else holds


def _update(
    sets: tuple[int, ...],
    removes: tuple[int, ...],
    adds: tuple[int, ...],
    derived: tuple[tuple[int, int, bool], ...],
    numbers: Iterator[Value],
) -> Update | None:
    actions = [
        *[SetAction(_path(name), next(numbers)) for name in sets],
        *[RemoveAction(_path(name)) for name in removes],
        *[AddAction(_path(name), next(numbers)) for name in adds],
        *[_derive(*one, numbers) for one in derived],
    ]
    return Update(*actions) if actions else None


def _derive(
    new: int,
    old: int,
    is_reduced: bool,  # noqa: FBT001 - a part of the shape
    numbers: Iterator[Value],
) -> SetAction:
    """Return the action that sets one attribute from another.

    ``new`` and ``old`` are the numbers of their placeholders. The value is
    that of ``old``, or with ``is_reduced`` the next of ``numbers`` minus it.
    """
    if is_reduced:
        return SetAction(_path(new), next(numbers) - _path(old))
    return SetAction(_path(new), _path(old))


def _path(number: int) -> Path:
    return Path([str(number)])
