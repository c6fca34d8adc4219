"""Defines the rows of events out, as they are stored until they are delivered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from billing.clock import epoch, stamp
from billing.errors import Item
from billing.ids import new_id
from billing.storage.writes import Write

State = Literal["pending", "delivered", "dead"]
PING: Final = "ping"
"""The type of the event that ``topup doctor`` sends. It tells of no account."""
PING_ACCOUNT: Final = "ping"
DUE: Final = "due"
"""The mark of a sparse index: it has the rows that are not delivered yet."""
SWEPT_AFTER_SECONDS: Final = 60
"""The table's stream starts the first try at once. The sweep takes what the stream lost."""
SEQUENCE_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One stored event."""

    user_id: str
    notice: str
    """The range key: the sequence, then the id. Two events never share it, even after a restore
    has turned an account's sequence back."""
    id: str
    type: str
    created: str
    sequence: int
    data: Mapping[str, Any]
    state: State
    attempts: int
    since: int
    """Epoch second at which its 72 hours began: when it was written, or sent again."""
    due_at: int = 0
    done: frozenset[str] = frozenset()
    """The ways by which it was delivered already."""
    gone: bool = False
    """The receiver answered 410: it wants no such events."""
    last_error: str = ""

    @classmethod
    def from_item(cls, item: Item) -> "Row":
        """Return the row in a stored item. Ignores attributes that a newer version wrote."""
        return cls(
            **{name: item[name] for name in cls.__slots__ if name in item}
        )

    @property
    def key(self) -> tuple[str, str]:
        """Return the row's key in the table."""
        return (self.user_id, self.notice)

    def body(self) -> dict[str, Any]:
        """Return the event as receivers see it."""
        return {
            "id": self.id,
            "type": self.type,
            "created": self.created,
            "user_id": self.user_id,
            "sequence": self.sequence,
            "data": self.data,
        }


def new_row(
    user_id: str,
    sequence: int,
    kind: str,
    data: Mapping[str, Any],
    now: datetime,
) -> Write:
    """Return the write of a new event, which will be delivered."""
    name = new_id("evt", now)
    values = {
        "id": name,
        "type": kind,
        "created": stamp(now),
        "sequence": sequence,
        "data": dict(data),
        "state": "pending",
        "attempts": 0,
        "since": epoch(now),
        DUE: DUE,
        "due_at": epoch(now) + SWEPT_AFTER_SECONDS,
    }
    place = f"{sequence:0{SEQUENCE_DIGITS}d}#{name}"
    return Write("notices", (user_id, place), set=values)
