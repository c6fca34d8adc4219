"""Helps to declare JSON responses of the API as dataclasses.

``members`` turns such a dataclass into a dictionary. The API's description
(billing/api/description/) is derived from the same dataclasses.
"""

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Member(NamedTuple):
    """Holds the JSON Schema keywords of one member of a JSON response.

    The schema's ``type`` comes from the dataclass field's annotation. A
    keyword that is None is left out of the schema.
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
    """Return a response of the API as a dictionary, to be sent as JSON.

    ``answer`` is the response as a dataclass. A field is left out while it has
    its default value.
    """
    shown = {}
    for field in fields(answer):
        value = getattr(answer, field.name)
        if value != field.default:
            shown[field.name] = value
    return shown
