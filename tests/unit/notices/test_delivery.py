"""One event's way from its row to its end, with every answer that a receiver can give."""

from collections import Counter
from datetime import datetime
from typing import Any

import pytest
from billing.books import Books
from billing.notices import delivery, outbox
from billing.notices.delivery import Answer, Failed, Gone, Sent
from billing.notices.rows import Row, new_row
from billing.settings import Telling
from support import builders
from support.builders import Clock
from support.fakes.memory_store import MemoryStore

HOUR = 3600


class Receiver:
    """Answers as it is told to, and remembers what it got."""

    def __init__(self, *answers: Answer) -> None:
        """``answers`` in their order; the last one for ever."""
        self.answers = list(answers) or [Sent()]
        self.got: list[str] = []

    def __call__(self, row: Row) -> Answer:
        """Take one."""
        self.got.append(row.body()["id"])
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def clock() -> Clock:
    """Moved by hand."""
    return Clock()


@pytest.fixture
def store() -> MemoryStore:
    """An empty one."""
    return MemoryStore()


@pytest.fixture
def books(store: MemoryStore, clock: Clock) -> Books:
    """Events are on."""
    return builders.books_on(store, clock=clock, telling=Telling(is_on=True))


def written(books: Books, user_id: str = "alice", now: datetime | None = None) -> Row:
    """An event that waits."""
    books.store.commit(new_row(user_id, 1, "payment.completed", {"a": None}, now or books.clock()))
    (item,) = books.store.pages("notices", user_id)
    return Row.from_item(item)


def state(books: Books, row: Row) -> dict[str, Any]:
    """As it is stored."""
    item = books.store.get("notices", row.key)
    assert item is not None
    return item


def _run(books: Books, clock: Clock, receiver: Receiver, minutes: int) -> list[str]:
    """The schedule, each minute."""
    found: list[str] = []
    for _ in range(minutes):
        clock.advance(minutes=1)
        outbox.sweep(
            books, {"url": receiver}, lambda: True, lambda _, what: found.append(str(what))
        )
    return found


def test_a_2xx_ends_it(books: Books, clock: Clock) -> None:
    row, receiver = written(books), Receiver()
    assert delivery.deliver(books, {"url": receiver}, row) == "delivered"
    assert delivery.deliver(books, {"url": receiver}, row) == "skipped"
    assert _run(books, clock, receiver, 5) == []
    ended = state(books, row)
    assert (ended["state"], "due" in ended, "ttl" in ended) == ("delivered", False, True)
    assert receiver.got == [row.id]


def test_a_failed_try_is_repeated_under_the_same_id(books: Books, clock: Clock) -> None:
    row, receiver = written(books), Receiver(Failed("HTTP 500"), Failed("HTTP 302"), Sent())
    assert delivery.deliver(books, {"url": receiver}, row) == "retried"
    assert state(books, row)["last_error"] == "url: HTTP 500"
    assert _run(books, clock, receiver, 10) == ["retried", "delivered"]
    assert receiver.got == [row.id] * 3


def test_pauses_grow_and_are_bounded() -> None:
    """From half of twice the last one to all of it."""
    for tries in range(40):
        whole = min(30 * 2**tries, 4 * HOUR)
        found = {delivery.pause_seconds(tries) for _ in range(50)}
        assert max(30, whole // 2) <= min(found)
        assert max(found) <= whole
        assert tries == 0 or len(found) > 1, "jitter"


def test_a_receiver_that_is_down_for_three_days_gets_it_then(books: Books, clock: Clock) -> None:
    """The last try is made when 72 hours are over."""
    row, receiver = written(books), Receiver(Failed("no answer in 5 s"))
    _run(books, clock, receiver, 72 * 60 - 1)
    assert state(books, row)["state"] == "pending"
    assert 20 < len(receiver.got) < 60, "neither a flood nor a drought"
    receiver.answers = [Sent()]
    _run(books, clock, receiver, 3)
    assert state(books, row)["state"] == "delivered"


def test_after_72_hours_it_is_dead(books: Books, clock: Clock) -> None:
    row, receiver = written(books), Receiver(Failed("HTTP 500"))
    found = _run(books, clock, receiver, 72 * 60 + 5)
    assert (found[-1], found.count("dead")) == ("dead", 1)
    ended = state(books, row)
    assert (ended["state"], ended["last_error"], "due" in ended) == ("dead", "url: HTTP 500", False)
    assert _run(books, clock, receiver, 10) == []


def test_410_ends_it_at_once(books: Books, clock: Clock) -> None:
    row, receiver = written(books), Receiver(Gone())
    assert delivery.deliver(books, {"url": receiver}, row) == "dead"
    assert _run(books, clock, receiver, 10) == []


def test_sent_again_it_has_its_id_and_another_72_hours(books: Books, clock: Clock) -> None:
    row, receiver = written(books), Receiver(Gone(), Sent())
    delivery.deliver(books, {"url": receiver}, row)
    clock.advance(hours=100)
    delivery.send_again(books, row)
    assert _run(books, clock, receiver, 1) == ["delivered"]
    assert receiver.got == [row.id] * 2


def test_two_ways_are_independent(books: Books, clock: Clock) -> None:
    """What the bus has taken, it is not given again while the address is down."""
    row, bus, url = written(books), Receiver(), Receiver(Failed("HTTP 500"), Sent())
    ways = {"bus": bus, "url": url}
    assert delivery.deliver(books, ways, row) == "retried"
    clock.advance(minutes=5)
    outbox.sweep(books, ways, lambda: True, lambda *_: None)
    assert (len(bus.got), len(url.got)) == (1, 2)
    assert state(books, row)["state"] == "delivered"


def test_410_from_one_way_does_not_stop_the_other(books: Books, clock: Clock) -> None:
    row, bus, url = (
        written(books),
        Receiver(Failed("ThrottlingException"), Sent()),
        Receiver(Gone()),
    )
    ways = {"bus": bus, "url": url}
    assert delivery.deliver(books, ways, row) == "retried"
    clock.advance(minutes=5)
    outbox.sweep(books, ways, lambda: True, lambda *_: None)
    assert (len(bus.got), len(url.got)) == (2, 1)
    assert state(books, row)["state"] == "dead", "an operator hears of the 410"


def test_concurrent_runs_try_once(books: Books) -> None:
    """The stream's run and the schedule's have the same row."""
    row = written(books)
    inner: list[str] = []

    def receiver(_: Row) -> Answer:
        inner.append(delivery.deliver(books, {"url": receiver}, row))
        return Sent()

    assert delivery.deliver(books, {"url": receiver}, row) == "delivered"
    assert inner == ["skipped"]


def test_a_function_that_dies_in_a_try_loses_nothing(books: Books, clock: Clock) -> None:
    """The next try's time is set before the try."""
    row = written(books)

    def dies(_: Row) -> Answer:
        raise SystemExit

    with pytest.raises(SystemExit):
        delivery.deliver(books, {"url": dies}, row)
    receiver = Receiver()
    assert _run(books, clock, receiver, 2) == ["delivered"]


def test_the_sweep_takes_what_the_stream_lost_and_leaves_it_a_minute(
    books: Books, clock: Clock
) -> None:
    row, receiver = written(books), Receiver()
    outbox.sweep(books, {"url": receiver}, lambda: True, lambda *_: None)
    assert receiver.got == []
    assert _run(books, clock, receiver, 2) == ["delivered"]
    assert receiver.got == [row.id]


def test_one_accounts_failures_delay_no_other(books: Books, clock: Clock) -> None:
    """200 events of one account that the receiver refuses, and one of another."""
    for _ in range(200):
        books.store.commit(new_row("mallory", 1, "payment.failed", {}, books.clock()))
    row, got = written(books), Counter[str]()

    def receiver(row: Row) -> Answer:
        got[row.user_id] += 1
        return Sent() if row.user_id == "alice" else Failed("HTTP 500")

    clock.advance(minutes=2)
    outbox.sweep(books, {"url": receiver}, lambda: True, lambda *_: None)
    assert state(books, row)["state"] == "delivered"
    assert got == {"mallory": 200, "alice": 1}


def test_a_try_that_was_under_way_does_not_end_what_was_sent_again(
    books: Books, clock: Clock
) -> None:
    """The operator sends it again, the receiver takes it, and then the older try hears 410."""
    row, well = written(books), Receiver()
    clock.advance(seconds=1)

    def slow(_: Row) -> Answer:
        delivery.send_again(books, Row.from_item(state(books, row)))
        again = Row.from_item(state(books, row))
        assert delivery.deliver(books, {"url": well}, again) == "delivered"
        return Gone()

    delivery.deliver(books, {"url": slow}, row)
    assert (state(books, row)["state"], "gone" in state(books, row)) == ("delivered", False)
    assert well.got == [row.id]


def test_what_was_read_before_it_was_sent_again_is_not_tried_by_its_old_time(
    books: Books, clock: Clock
) -> None:
    """It waited for three days while events were off; its new 72 hours begin with the operator."""
    row = written(books)
    clock.advance(hours=73)
    delivery.send_again(books, row)
    assert delivery.deliver(books, {"url": Receiver(Failed("HTTP 500"))}, row) == "skipped"
    again = Row.from_item(state(books, row))
    assert delivery.deliver(books, {"url": Receiver(Failed("HTTP 500"))}, again) == "retried"
