"""Many events at once: which are taken, how many, in which time, and what is reported of each."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from billing.books import Books
from billing.deadline import Deadline
from billing.errors import AwsRefusedError, NotDoneError, OutcomeUnknownError
from billing.notices import outbox
from billing.notices.delivery import Answer, Failed, Sent
from billing.notices.rows import Row, new_row
from billing.settings import Telling
from billing.storage.reader import Page
from billing.storage.writes import Write
from support import builders
from support.builders import START, Clock
from support.fakes.memory_store import MemoryStore


def _books(store: MemoryStore) -> Books:
    clock = Clock()
    clock.advance(hours=1)
    return builders.books_on(store, clock=clock, telling=Telling(is_on=True))


def _write(books: Books, count: int) -> list[Row]:
    """Events of as many users, of which every one is due."""
    for number in range(count):
        write = new_row(f"user{number:03d}", 1, "payment.completed", {}, START)
        books.store.commit(write)
    rows: list[Row] = []
    for number in range(count):
        (item,) = books.store.pages("notices", f"user{number:03d}")
        rows.append(Row.from_item(item))
    return rows


def _sent(_: Row) -> Answer:
    return Sent()


def test_a_batch_has_fifty_events_and_the_time_is_looked_at_before_each() -> None:
    books = _books(MemoryStore())
    _write(books, 101)
    looks = iter([True, True, False])
    found = outbox.sweep(books, {"url": _sent}, lambda: next(looks), lambda *_: None)
    assert found == {"delivered": 100}
    assert next(looks, None) is None


def test_without_time_nothing_is_taken() -> None:
    books = _books(MemoryStore())
    _write(books, 3)
    assert outbox.sweep(books, {"url": _sent}, lambda: False, lambda *_: None) == {}
    assert outbox.sweep(books, {"url": _sent}, lambda: True, lambda *_: None) == {"delivered": 3}
    assert outbox.sweep(books, {"url": _sent}, lambda: True, lambda *_: None) == {}


class Troubled(MemoryStore):
    """What is written of one user's events fails."""

    def __init__(self, error: Exception) -> None:
        """Of ``user001``."""
        super().__init__()
        self.error = error

    def update(self, write: Write) -> dict[str, Any]:
        """See MemoryStore."""
        if write.key[0] == "user001":
            raise self.error
        return super().update(write)


@pytest.mark.parametrize(
    "error", [OutcomeUnknownError("lost"), NotDoneError("late"), AwsRefusedError("AccessDenied")]
)
def test_an_event_that_could_not_be_tried_stops_no_other(error: Exception) -> None:
    """Each is reported in its turn, with its outcome or with what was in the way."""
    books = _books(Troubled(error))
    rows = _write(books, 3)
    reported: list[tuple[str, object]] = []
    found = outbox.deliver_all(
        books, {"url": _sent}, rows, lambda row, what: reported.append((row.id, what))
    )
    assert found == {"delivered": 2, "not_tried": 1}
    assert reported == [
        (rows[0].id, "delivered"),
        (rows[1].id, error),
        (rows[2].id, "delivered"),
    ]


def test_a_fault_of_ours_comes_out() -> None:
    books = _books(Troubled(RuntimeError("a fault")))
    with pytest.raises(RuntimeError, match="a fault"):
        outbox.deliver_all(books, {"url": _sent}, _write(books, 3), lambda *_: None)


def test_every_outcome_is_counted_by_its_name() -> None:
    books = _books(MemoryStore())
    rows = _write(books, 4)

    def way(row: Row) -> Answer:
        return Failed("HTTP 500") if row.user_id == "user002" else Sent()

    outbox.deliver_all(books, {"url": way}, rows[:1], lambda *_: None)
    found = outbox.deliver_all(books, {"url": way}, rows, lambda *_: None)
    assert found == {"skipped": 1, "delivered": 2, "retried": 1}


class Timed(MemoryStore):
    """Reading takes its time, and nothing is done after the deadline, as at the real store."""

    def __init__(self) -> None:
        """The time of a run long ago is over."""
        self.now = 0.0
        super().__init__(Deadline(20, clock=lambda: self.now))
        self.now = 1000.0

    def _in_time(self) -> None:
        if not list(self.deadline.attempts(pauses=False))[:1]:
            raise NotDoneError("the time is up")

    def due_notices(self, now_epoch: int, after: dict[str, Any] | None = None) -> Page:
        """See MemoryStore."""
        self._in_time()
        self.now += 11
        return super().due_notices(now_epoch, after)

    def get(self, *asked: Any) -> dict[str, Any] | None:
        """See MemoryStore."""
        self._in_time()
        self.now += 10
        return super().get(*asked)

    def update(self, write: Write) -> dict[str, Any]:
        """See MemoryStore."""
        self._in_time()
        return super().update(write)


def test_reading_a_batch_and_delivering_it_each_have_their_own_time() -> None:
    """However long the run before has taken, and the reading."""
    store = Timed()
    books = _books(store)
    store.deadline.begin()
    write = new_row("alice", 1, "payment.completed", {}, START)
    books.store.commit(write)
    store.now += 1000
    found = outbox.sweep(books, {"url": _sent}, lambda: True, lambda *_: None)
    assert found == {"delivered": 1}


def test_what_ended_since_the_index_was_written_is_passed_over() -> None:
    """The first, one in the middle and the last of them; the others are found, page by page."""
    books = _books(MemoryStore())
    rows = _write(books, 7)
    ended = {rows[place].user_id for place in (0, 3, 6)}
    stale = _stale(books, ended)
    assert [row.user_id for row in outbox.find_due(stale)] == [
        row.user_id for row in rows if row.user_id not in ended
    ]


def _stale(books: Books, ended: set[str]) -> Books:
    """The rows of these users have ended, and the index still names them."""
    store: Any = books.store
    get = store.get

    def get_now(table: str, key: tuple[str, str]) -> dict[str, Any] | None:
        item = get(table, key)
        return {**item, "state": "delivered"} if key[0] in ended else item

    store.get = get_now
    return books


@pytest.fixture(autouse=True)
def _one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store in memory bears one thread. The product takes fifty."""

    class Turns(ThreadPoolExecutor):
        def __init__(self, workers: int) -> None:
            assert workers == 50
            super().__init__(1)

    monkeypatch.setattr("billing.notices.outbox.ThreadPoolExecutor", Turns)
