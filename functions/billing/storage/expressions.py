"""Translates writes into DynamoDB's expressions, with pynamodb, and values into its types.

Numbers are integers only, so that no float can enter the books.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache, reduce
from itertools import count
from operator import and_
from typing import Any, Final, NamedTuple

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path, Value
from pynamodb.expressions.update import AddAction, RemoveAction, SetAction, Update

from billing.errors import Item
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
    """Return the DynamoDB expressions of one write, as all write operations take them."""
    shape = _shape(
        tuple((must.name, must.operator, must.or_absent) for must in write.must),
        tuple(write.set),
        write.remove,
        tuple(write.add),
    )
    valued = (must.value for must in write.must if must.operator in _COMPARE)
    values = (*valued, *write.set.values(), *write.add.values())
    spelled = dict(shape.members)
    if values:
        spelled["ExpressionAttributeValues"] = dict(
            zip(shape.placeholders, map(encode, values), strict=True)
        )
    return spelled


class _Shape(NamedTuple):
    """The expressions that all writes to the same attributes under the same clauses share."""

    members: Mapping[str, Any]
    placeholders: tuple[str, ...]
    """In the order of the values: the clauses', what is set, what is added."""


@lru_cache(maxsize=SHAPES_MAX)
def _shape(
    must: tuple[tuple[str, str, bool], ...],
    sets: tuple[str, ...],
    removes: tuple[str, ...],
    adds: tuple[str, ...],
) -> _Shape:
    """Let pynamodb build the expressions once, with numbers in place of the values."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    members: dict[str, Any] = {}
    numbers = (Value({"N": str(number)}) for number in count())
    if must:
        condition = reduce(and_, [_condition(*clause, numbers) for clause in must])
        members["ConditionExpression"] = condition.serialize(names, values)
    if update := _update(sets, removes, adds, numbers):
        members["UpdateExpression"] = update.serialize(names, values)
    if names:
        # pynamodb collects name -> placeholder, DynamoDB wants placeholder -> name
        members["ExpressionAttributeNames"] = {
            placeholder: name for name, placeholder in names.items()
        }
    return _Shape(
        members,
        tuple(
            sorted(values, key=lambda placeholder: int(values[placeholder]["N"]))
        ),
    )


def encode(value: object) -> dict[str, Any]:  # noqa: PLR0911 - one line a type
    """Return a Python value as a DynamoDB attribute value.

    Raises TypeError for any type except str, bool, int, dict, list and a set of strings.
    """
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, Mapping):
        return {"M": {name: encode(member) for name, member in value.items()}}
    if isinstance(value, frozenset | set):
        return {"SS": sorted(value)}
    if isinstance(value, list | tuple):
        return {"L": [encode(member) for member in value]}
    if value is None:
        return {"NULL": True}
    kind = type(value).__name__
    message = (
        f"{kind} is not stored: books hold text, integers and collections of them"
    )
    raise TypeError(message)


def decode(item: Mapping[str, Any]) -> Item:
    """Return an item of DynamoDB as plain Python values."""
    return {name: _decode(value) for name, value in item.items()}


def _decode(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind == "N":
        return int(content)
    if kind == "M":
        return decode(content)
    if kind == "L":
        return [_decode(member) for member in content]
    if kind == "SS":
        return frozenset(content)
    return None if kind == "NULL" else content


def _condition(
    name: str,
    operator: str,
    or_absent: bool,  # noqa: FBT001 - a clause's own field
    numbers: Iterator[Value],
) -> Condition:
    path = Path([name])
    if operator == "exists":
        return path.exists()
    if operator == "absent":
        return path.does_not_exist()
    holds = _COMPARE[operator](path, next(numbers))
    return path.does_not_exist() | holds if or_absent else holds


def _update(
    sets: tuple[str, ...],
    removes: tuple[str, ...],
    adds: tuple[str, ...],
    numbers: Iterator[Value],
) -> Update | None:
    actions = [
        *[SetAction(Path([name]), next(numbers)) for name in sets],
        *[RemoveAction(Path([name])) for name in removes],
        *[AddAction(Path([name]), next(numbers)) for name in adds],
    ]
    return Update(*actions) if actions else None
