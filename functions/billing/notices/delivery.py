"""The states of one event to the seller: pending, then delivered or dead.

            try              accepted by every receiver
    pending ----> pending ----------------------------> delivered
                     |   other answer, or none: due again after a pause
                     |
                     '-- 410, or a failed try after 72 hours -----> dead

The 72 hours begin when the event is stored, or when it is sent again by hand.

Before each try, a conditional write sets the time of the next one. This claims
the event, so that no concurrent run tries it. If the function crashes during
the try, a later run finds the event when that time has come. So a receiver
gets each event at least once, and perhaps twice with the same id.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal, assert_never

from billing.books import Books
from billing.clock import epoch, stamp
from billing.deadline import JITTER
from billing.errors import ConditionFailedError, RetryableError
from billing.notices.rows import DUE, Row
from billing.storage.writes import Must, Write, equals

WINDOW_SECONDS: Final = 72 * 3600
PAUSE_FIRST_SECONDS: Final = 30
"""The shortest pause. It is longer than a try with its writes, so that no
second run starts during a try.
"""
PAUSE_LAST_SECONDS: Final = 4 * 3600
DOUBLINGS_MAX: Final = 12
"""The most times that the pause is doubled, so that the number stays small.
PAUSE_LAST_SECONDS is reached before.
"""
KEPT_DAYS: Final = 30
"""For how many days an event that was delivered or is dead is listed, and can
be sent again.
"""
ERROR_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Sent:
    """Says that a receiver has accepted the event in a try to deliver it."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Says that a try to deliver an event failed: not accepted, or no answer.

    ``why`` is the reason as operators read it.
    """

    why: str


@dataclass(frozen=True, slots=True)
class Gone:
    """Says that a receiver wants no more tries to deliver the event (410)."""


Answer = Sent | Failed | Gone
Way = Callable[[Row], Answer]
"""Sends one event to one receiver: the seller's address or the event bus. It
takes seconds at most, and raises no exception.
"""
Outcome = Literal["delivered", "retried", "dead", "skipped"]


def deliver(books: Books, ways: Mapping[str, Way], row: Row) -> Outcome:
    """Try to deliver one event to each receiver that does not have it.

    ``ways`` are the functions that send to a receiver, by its name. Returns
    ``delivered``, or ``retried`` if it is due again later. ``dead`` means that
    there is no other try: a receiver answered 410, or a try failed when the
    event had been due for 72 hours. ``skipped`` means that a concurrent run
    delivers the event or nothing is left to do.
    """
    begun = epoch(books.clock())
    if not _claim(books, row, begun):
        return "skipped"
    learned = _try(ways, row)
    is_ended = not set(ways) - learned.done
    if not is_ended and begun < row.since + WINDOW_SECONDS:
        _write(books, row, Write("notices", row.key, set=learned.attributes()))
        return "retried"
    is_delivered = is_ended and not learned.gone
    state: Outcome = "delivered" if is_delivered else "dead"
    _write(books, row, _ending(books, row, state, learned))
    return state


@dataclass(frozen=True, slots=True)
class _Learned:
    """Holds what the tries to send one event to the seller have shown so far.

    The present try is included. ``done`` are the receivers (the seller's URL
    or an EventBridge bus) that need no other try. ``gone`` is true if one
    answered 410, which refuses the event for good. ``errors`` are those of
    the present try.
    """

    done: frozenset[str]
    gone: bool
    errors: tuple[str, ...]

    def attributes(self) -> dict[str, Any]:
        """Return the attributes to set in the event's row after this try.

        It was a try to deliver the event to the seller.
        """
        found: dict[str, Any] = {"done": self.done} if self.done else {}
        if self.errors:
            found["last_error"] = "; ".join(self.errors)[:ERROR_CHARS_MAX]
        if self.gone:
            found["gone"] = True
        return found


def _try(ways: Mapping[str, Way], row: Row) -> _Learned:
    done, gone, errors = set(row.done), row.gone, []
    for name in sorted(set(ways) - row.done):
        answer = ways[name](row)
        match answer:
            case Sent():
                done.add(name)
            case Gone():
                done.add(name)
                gone = True
                errors.append(f"{name}: 410 Gone")
            case Failed():
                errors.append(f"{name}: {answer.why}")
            case _:
                assert_never(answer)
    return _Learned(frozenset(done), gone, tuple(errors))


def pause_seconds(attempts: int) -> int:
    """Return the pause before the next try, after ``attempts`` tries.

    It doubles with each try, and up to half of it is random, so that
    events that failed together are not tried again together.
    """
    whole = PAUSE_FIRST_SECONDS * 2 ** min(attempts, DOUBLINGS_MAX)
    whole = min(whole, PAUSE_LAST_SECONDS)
    return JITTER.randint(max(PAUSE_FIRST_SECONDS, whole // 2), whole)


def send_again(books: Books, row: Row) -> None:
    """Make an event to the seller due now for all receivers, with the same id.

    Failed tries are repeated for 72 hours from now.
    """
    now = epoch(books.clock())
    again = {
        "state": "pending",
        "attempts": 0,
        "since": now,
        DUE: DUE,
        "due_at": now,
    }
    ended = ("done", "gone", "ended_at", "ttl")
    books.store.commit(Write("notices", row.key, set=again, remove=ended))


def find_due(books: Books, row_key: tuple[str, str]) -> Row | None:
    """Return the event with this key if it is still due, else None.

    It is due if it is not delivered and the time of its next try has come. The
    row is read here, because the index that named it may be out of date.
    """
    item = books.store.get("notices", row_key)
    if not item or item.get("state") != "pending":
        return None
    row = Row.from_item(item)
    return row if row.due_at <= epoch(books.clock()) else None


def _claim(books: Books, row: Row, now: int) -> bool:
    """Claim an event for one try. Return False if another run has it.

    The write counts the try, and sets the time of the next one already. So no
    concurrent run tries the event, and it is not lost if this try crashes. The
    last try is due 72 hours after the event was stored or sent again.
    """
    later = now + pause_seconds(row.attempts)
    end = row.since + WINDOW_SECONDS
    if now < end:
        later = min(later, max(end, now + PAUSE_FIRST_SECONDS))
    claim = Write(
        "notices",
        row.key,
        set={"due_at": later},
        add={"attempts": 1},
        must=(*_as_claimed(row, row.attempts), equals("state", "pending")),
    )
    try:
        books.store.update(claim)
    except ConditionFailedError:
        return False
    return True


def _ending(books: Books, row: Row, state: Outcome, learned: _Learned) -> Write:
    now = books.clock()
    ttl = epoch(now + timedelta(days=KEPT_DAYS))
    ended = {"state": state, "ended_at": stamp(now), "ttl": ttl}
    return Write(
        "notices",
        row.key,
        set={**learned.attributes(), **ended},
        remove=(DUE, "due_at"),
    )


def _write(books: Books, row: Row, write: Write) -> None:
    """Write the result of a try to deliver an event to the event's row.

    ``write`` sets the result. Nothing is written if another run has claimed
    the event or it was sent again meanwhile. If the write fails, the event
    stays due and is delivered again.
    """
    claimed = _as_claimed(row, row.attempts + 1)
    with suppress(ConditionFailedError, RetryableError):
        books.store.update(write._replace(must=claimed))


def _as_claimed(row: Row, attempts: int) -> tuple[Must, ...]:
    """Return the conditions that an event's row is still as this run read it.

    The row has ``attempts`` tries, so no other run has claimed the event, and
    the event was not sent again.
    """
    return equals("attempts", attempts), equals("since", row.since)
