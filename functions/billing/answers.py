"""Defines how answers are declared as dataclasses, and turns them into JSON.

billing/api/description/ derives the API's description from the same
dataclasses.
"""

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Member(NamedTuple):
    """Holds the JSON Schema keywords of one member of an answer.

    The schema's ``type`` comes from the annotation. A keyword that is None is
    left out.
    """

    minimum: int | None = None
    format: str | None = None
    pattern: str | None = None
    description: str | None = None


Count = Annotated[int, Member(minimum=0)]
"""Zero or more."""
Time = Annotated[str, Member(format="date-time")]
"""A moment, as ``clock.stamp`` writes it."""
_OLD = "may be a moment old on an account that many spend from at once; units are exact always"
Remaining = Annotated[Count, Member(description=_OLD)]
"""The units that remain after a debit or a hold."""
LimitLeft = Annotated[
    Count, Member(description=f"of the key's limit, where it has one; {_OLD}")
]
"""What is left of the API key's limit after a debit or a hold."""


def members(answer: "DataclassInstance") -> dict[str, Any]:
    """Return an answer as a dictionary of its members.

    A member is left out while it has its default value.
    """
    shown = {}
    for field in fields(answer):
        value = getattr(answer, field.name)
        if value != field.default:
            shown[field.name] = value
    return shown
