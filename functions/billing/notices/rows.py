"""Defines the rows in which events to the seller wait for delivery."""

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
"""The type of the test event that ``topup doctor`` sends. It is about no
account.
"""
PING_ACCOUNT: Final = "ping"
DUE: Final = "due"
"""The attribute that puts a row into the index of events that are not
delivered yet.
"""
SWEPT_AFTER_SECONDS: Final = 60
"""After how many seconds the sweep of each minute may try a new event. The
table's stream starts the first try at once, and the sweep finds the events
that the stream has lost.
"""
SEQUENCE_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one stored event to the seller and the state of its delivery."""

    user_id: str
    notice: str
    """The range key: the sequence number, then the event's id. The id keeps
    keys different even if a restore from a backup sets an account's
    sequence number back.
    """
    id: str
    type: str
    created: str
    sequence: int
    data: Mapping[str, Any]
    state: State
    attempts: int
    since: int
    """The epoch second from which the event is tried for 72 hours: when it was
    written, or sent again.
    """
    due_at: int = 0
    done: frozenset[str] = frozenset()
    """The names of the receivers that need no other try (``ways`` of
    delivery.deliver).
    """
    gone: bool = False
    """Whether a receiver answered 410, so that the event is not sent to it
    again.
    """
    last_error: str = ""

    @classmethod
    def from_item(cls, item: Item) -> "Row":
        """Return the event to the seller that is stored in ``item``.

        Attributes that a newer version wrote are ignored.
        """
        return cls(
            **{name: item[name] for name in cls.__slots__ if name in item}
        )

    @property
    def key(self) -> tuple[str, str]:
        """Return this event's table key: the user's id and the range key."""
        return (self.user_id, self.notice)

    def body(self) -> dict[str, Any]:
        """Return the event as the seller's receiver gets it, a JSON object."""
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
    """Return the write that stores a new event to the seller, for delivery.

    ``kind`` is the event's type, ``data`` what it shows, and ``sequence`` its
    number among the events of the account.
    """
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
