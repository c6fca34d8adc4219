"""How writes and items are spelled for DynamoDB: expressions by pynamodb, and integers only, so that no float can enter the books."""

from collections.abc import Mapping
from functools import reduce
from operator import and_
from typing import Any, Final

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path, Value
from pynamodb.expressions.update import AddAction, RemoveAction, SetAction, Update

from billing.errors import Item
from billing.writes import Must, Write

_COMPARE: Final = {
    "==": Path.__eq__,
    ">=": Path.__ge__,
    "<=": Path.__le__,
    "<": Path.__lt__,
    ">": Path.__gt__,
}


def spell(write: Write) -> dict[str, Any]:
    """The expressions of one write, as the members that every DynamoDB write operation shares."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    spelled: dict[str, Any] = {}
    if write.must:
        condition = reduce(and_, (_condition(must) for must in write.must))
        spelled["ConditionExpression"] = condition.serialize(names, values)
    if update := _update(write):
        spelled["UpdateExpression"] = update.serialize(names, values)
    if names:
        # pynamodb collects name -> placeholder, DynamoDB wants placeholder -> name
        spelled["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in names.items()}
    if values:
        spelled["ExpressionAttributeValues"] = values
    return spelled


def encode(value: object) -> dict[str, Any]:  # noqa: PLR0911 - one line a type
    """A Python value as a DynamoDB attribute value. Raises TypeError for anything but text, bool, int, map, list, set of texts."""
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
    message = f"{type(value).__name__} is not stored: books hold text, integers and collections of them"
    raise TypeError(message)


def decode(item: Mapping[str, Any]) -> Item:
    """An item as DynamoDB returns it, as plain Python."""
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


def _condition(must: Must) -> Condition:
    path = Path([must.name])
    if must.operator == "exists":
        return path.exists()
    if must.operator == "absent":
        return path.does_not_exist()
    holds = _COMPARE[must.operator](path, Value(encode(must.value)))
    return path.does_not_exist() | holds if must.or_absent else holds


def _update(write: Write) -> Update | None:
    actions = [
        *(SetAction(Path([name]), Value(encode(value))) for name, value in write.set.items()),
        *(RemoveAction(Path([name])) for name in write.remove),
        *(AddAction(Path([name]), Value(encode(value))) for name, value in write.add.items()),
    ]
    return Update(*actions) if actions else None
