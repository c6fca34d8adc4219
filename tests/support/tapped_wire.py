"""Counts what a store asks of a real DynamoDB API, and what that costs by the API's own word."""

from dataclasses import dataclass, field
from typing import Any

from billing.books import Books


@dataclass(slots=True)
class Wire:
    """What goes to the database."""

    operations: list[str] = field(default_factory=list)
    units: float = 0


def tap(books: Books) -> Wire:
    """Ask with every request what it costs, and add it up."""
    wire = Wire()
    events = books.store._client.meta.events

    def ask(params: dict[str, Any], model: Any, **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"
        wire.operations.append(model.name)

    def add(parsed: dict[str, Any], **_: Any) -> None:
        told = parsed.get("ConsumedCapacity") or []  # none for a refusal, a list of tables for many
        wire.units += sum(
            one["CapacityUnits"] for one in (told if isinstance(told, list) else [told])
        )

    events.register("before-parameter-build.dynamodb", ask)
    events.register("after-call.dynamodb", add)
    return wire
