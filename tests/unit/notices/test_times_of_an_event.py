"""When an event is tried, ends and is forgotten, to the second."""

from datetime import timedelta

import pytest
from billing.books import Books
from billing.clock import epoch
from billing.notices import delivery
from billing.notices.delivery import Failed, Sent
from billing.notices.rows import Row, new_row
from billing.settings import Telling
from support import builders
from support.builders import Clock
from support.fakes.memory_store import MemoryStore

HOUR = 3600
DAY = 24 * HOUR


@pytest.fixture
def clock() -> Clock:
    """Moved by hand."""
    return Clock()


@pytest.fixture
def books(clock: Clock) -> Books:
    """Events are on."""
    return builders.books_on(MemoryStore(), clock=clock, telling=Telling(is_on=True))


def _stored(books: Books) -> Row:
    (item,) = books.store.pages("notices", "alice")
    return Row.from_item(item)


def _written(books: Books) -> Row:
    books.store.commit(new_row("alice", 7, "quota.low", {}, books.clock()))
    return _stored(books)


def test_a_new_event_is_left_to_the_stream_for_a_minute(books: Books) -> None:
    """Its row sorts by its number, of twelve digits."""
    row = _written(books)
    assert row.key == ("alice", f"000000000007#{row.id}")
    assert (row.attempts, row.since, row.due_at) == (
        0,
        epoch(books.clock()),
        epoch(books.clock()) + 60,
    )


@pytest.mark.parametrize(("seconds", "outcome"), [(72 * HOUR - 1, "retried"), (72 * HOUR, "dead")])
def test_the_last_try_is_the_one_at_72_hours(
    books: Books, clock: Clock, seconds: int, outcome: str
) -> None:
    """To the second."""
    row = _written(books)
    clock.advance(seconds=seconds)
    assert delivery.deliver(books, {"url": lambda _: Failed("HTTP 500")}, row) == outcome


@pytest.mark.parametrize(("left", "pause"), [(7000, 7000), (31, 31), (30, 30), (29, 30), (1, 30)])
def test_the_last_pause_ends_with_the_72_hours_but_outlives_a_try(
    books: Books, clock: Clock, left: int, pause: int
) -> None:
    """After many tries a pause would be of two hours at least."""
    _written(books)
    books.store.update(
        new_row("alice", 7, "quota.low", {}, books.clock())._replace(
            key=_stored(books).key, set={"attempts": 12}
        )
    )
    clock.advance(seconds=72 * HOUR - left)
    delivery.deliver(books, {"url": lambda _: Failed("HTTP 500")}, _stored(books))
    found = _stored(books)
    assert (found.attempts, found.due_at - epoch(books.clock())) == (13, pause)


@pytest.mark.parametrize("answer", [Sent(), Failed("x" * 300)])
def test_an_ended_event_is_listed_for_thirty_days(
    books: Books, clock: Clock, answer: delivery.Answer
) -> None:
    """With two hundred characters of what the receiver said last."""
    row = _written(books)
    clock.advance(seconds=72 * HOUR)
    delivery.deliver(books, {"url": lambda _: answer}, row)
    item = books.store.get("notices", row.key)
    assert item is not None
    assert item["ttl"] == epoch(clock.now + timedelta(days=30))
    if isinstance(answer, Failed):
        assert item["last_error"] == "url: " + "x" * 195


def test_sent_again_it_is_as_new_and_due_at_once(books: Books, clock: Clock) -> None:
    """Under its id."""
    row = _written(books)
    delivery.deliver(books, {"url": lambda _: Sent()}, row)
    clock.advance(seconds=DAY)
    delivery.send_again(books, _stored(books))
    found = _stored(books)
    now = epoch(books.clock())
    assert (found.id, found.attempts, found.since, found.due_at) == (row.id, 0, now, now)
    assert found.done == frozenset()


@pytest.mark.parametrize(
    ("tries", "least", "most"),
    [(0, 30, 30), (1, 30, 60), (2, 60, 120), (8, 3840, 7680), (9, 7200, 14400), (99, 7200, 14400)],
)
def test_a_pause_is_anything_from_half_of_twice_the_last_one(
    tries: int, least: int, most: int
) -> None:
    """Both ends occur, and nothing beyond them."""
    found = [delivery.pause_seconds(tries) for _ in range(2000)]
    assert least <= min(found) <= least + most // 20
    assert most - most // 20 <= max(found) <= most


@pytest.mark.parametrize("seconds", [72 * HOUR, 73 * HOUR])
def test_a_last_try_that_dies_is_made_again_after_its_own_pause(
    books: Books, clock: Clock, seconds: int
) -> None:
    """There is no end any more that would shorten it."""
    row = _written(books)
    again = new_row("alice", 7, "quota.low", {}, books.clock())
    books.store.update(again._replace(key=row.key, set={"attempts": 12}))
    clock.advance(seconds=seconds)

    def dies(_: Row) -> delivery.Answer:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        delivery.deliver(books, {"url": dies}, _stored(books))
    assert _stored(books).due_at - epoch(books.clock()) >= 2 * HOUR
