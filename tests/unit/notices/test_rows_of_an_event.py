"""What is stored of an event, attribute by attribute, at each step to its end."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from billing.books import Books
from billing.deadline import JITTER
from billing.errors import AwsRefusedError, OutcomeUnknownError
from billing.notices import delivery
from billing.notices.delivery import Answer, Failed, Gone, Sent
from billing.notices.rows import Row, new_row
from billing.settings import Telling
from billing.storage.writes import Write
from support import builders
from support.builders import START, Still
from support.fakes.memory_store import MemoryStore

BEGUN: Final = 1_767_323_045
"""START, 2026-01-02T03:04:05Z, in epoch seconds."""
HOURS_72: Final = 259_200
DAYS_30: Final = 2_592_000


class Failing(MemoryStore):
    """The second update fails, where a test says how: a try's end, behind its claim."""

    error: Exception | None = None
    updates = 0

    def update(self, write: Write) -> dict[str, Any]:
        """See MemoryStore."""
        self.updates += 1
        if self.error and self.updates == 2:
            raise self.error
        return super().update(write)


@pytest.fixture
def clock() -> Still:
    """At START."""
    return Still()


@pytest.fixture
def store() -> Failing:
    """An empty one."""
    return Failing()


@pytest.fixture
def books(store: Failing, clock: Still) -> Books:
    """Events are on."""
    return builders.books_on(store, clock=clock, telling=Telling(is_on=True))


@pytest.fixture
def row(books: Books) -> Row:
    """An event that was just written."""
    books.store.commit(new_row("alice", 7, "payment.completed", {"a": None}, START))
    (item,) = books.store.pages("notices", "alice")
    return Row.from_item(item)


def _stored(store: MemoryStore) -> dict[str, Any]:
    """Without what never changes."""
    (item,) = store.tables["notices"].values()
    fixed = {"user_id", "notice", "id", "type", "created", "sequence", "data"}
    return {name: value for name, value in item.items() if name not in fixed}


def _now(store: MemoryStore) -> Row:
    (item,) = store.tables["notices"].values()
    return Row.from_item(item)


def _answering(answer: Answer) -> Callable[[Row], Answer]:
    return lambda _: answer


def test_a_new_event_is_due_in_a_minute_and_was_never_tried(row: Row, store: Failing) -> None:
    """The table's stream starts the first try at once; the schedule takes what that lost."""
    assert store.tables["notices"] == {
        ("alice", f"000000000007#{row.id}"): {
            "user_id": "alice",
            "notice": f"000000000007#{row.id}",
            "id": row.id,
            "type": "payment.completed",
            "created": "2026-01-02T03:04:05.000000Z",
            "sequence": 7,
            "data": {"a": None},
            "state": "pending",
            "attempts": 0,
            "since": BEGUN,
            "due": "due",
            "due_at": BEGUN + 60,
        }
    }
    assert row.id.startswith("evt_")
    assert (row.done, row.gone, row.last_error) == (frozenset(), False, "")


def test_a_receiver_sees_six_members(row: Row) -> None:
    assert row.body() == {
        "id": row.id,
        "type": "payment.completed",
        "created": "2026-01-02T03:04:05.000000Z",
        "user_id": "alice",
        "sequence": 7,
        "data": {"a": None},
    }


def test_what_a_newer_version_wrote_is_not_read(store: Failing, row: Row) -> None:
    (item,) = store.tables["notices"].values()
    assert Row.from_item({**item, "newer": 1}) == row


def test_a_try_is_claimed_before_it_is_made(books: Books, store: Failing, row: Row) -> None:
    """The row shows the try and the next one's time while it is under way."""
    seen: list[dict[str, Any]] = []

    def way(_: Row) -> Answer:
        seen.append(dict(_stored(store)))
        return Sent()

    assert delivery.deliver(books, {"url": way}, row) == "delivered"
    assert seen == [
        {"state": "pending", "attempts": 1, "since": BEGUN, "due": "due", "due_at": BEGUN + 30}
    ]


def test_a_delivered_event_is_kept_for_thirty_days_and_is_not_due(
    books: Books, store: Failing, row: Row, clock: Still
) -> None:
    clock.advance(seconds=2)
    assert delivery.deliver(books, {"url": _answering(Sent())}, row) == "delivered"
    assert _stored(store) == {
        "state": "delivered",
        "attempts": 1,
        "since": BEGUN,
        "done": frozenset({"url"}),
        "ended_at": "2026-01-02T03:04:07.000000Z",
        "ttl": BEGUN + 2 + DAYS_30,
    }


def test_an_event_that_the_receiver_refuses_for_good_is_dead_and_says_why(
    books: Books, store: Failing, row: Row
) -> None:
    assert delivery.deliver(books, {"url": _answering(Gone())}, row) == "dead"
    assert _stored(store) == {
        "state": "dead",
        "attempts": 1,
        "since": BEGUN,
        "done": frozenset({"url"}),
        "gone": True,
        "last_error": "url: 410 Gone",
        "ended_at": "2026-01-02T03:04:05.000000Z",
        "ttl": BEGUN + DAYS_30,
    }


def test_a_failed_try_keeps_what_each_way_has_said(books: Books, store: Failing, row: Row) -> None:
    """In the order of their names, whichever was tried first."""
    ways = {
        "url": _answering(Failed("HTTP 500")),
        "bus": _answering(Sent()),
        "also": _answering(Failed("no answer in 5 s")),
    }
    assert delivery.deliver(books, ways, row) == "retried"
    assert _stored(store) == {
        "state": "pending",
        "attempts": 1,
        "since": BEGUN,
        "due": "due",
        "due_at": BEGUN + 30,
        "done": frozenset({"bus"}),
        "last_error": "also: no answer in 5 s; url: HTTP 500",
    }


def test_no_more_than_two_hundred_characters_of_an_error_are_kept(
    books: Books, store: Failing, row: Row
) -> None:
    delivery.deliver(books, {"url": _answering(Failed("x" * 500))}, row)
    assert _stored(store)["last_error"] == "url: " + "x" * 195


@pytest.mark.parametrize(
    ("after", "outcome"),
    [(HOURS_72 - 1, "retried"), (HOURS_72, "dead"), (HOURS_72 + 1, "dead")],
)
def test_the_last_try_is_that_of_the_second_in_which_72_hours_are_over(
    books: Books, row: Row, clock: Still, after: int, outcome: str
) -> None:
    clock.advance(seconds=after)
    assert delivery.deliver(books, {"url": _answering(Failed("HTTP 500"))}, row) == outcome


@pytest.mark.parametrize(
    ("before_the_end", "attempts", "next_try"),
    [
        (3600, 20, range(HOURS_72, HOURS_72 + 1)),
        (31, 20, range(HOURS_72, HOURS_72 + 1)),
        (29, 20, range(HOURS_72 + 1, HOURS_72 + 2)),
        (10, 0, range(HOURS_72 + 20, HOURS_72 + 21)),
        (5 * 3600, 20, range(HOURS_72 - 3 * 3600, HOURS_72 - 3600 + 1)),
        (0, 20, range(HOURS_72 + 7200, HOURS_72 + 14_401)),
        (-3600, 20, range(HOURS_72 + 10_800, HOURS_72 + 18_001)),
    ],
)
def test_the_time_of_the_next_try_is_never_between_the_end_and_the_claims_length(
    store: Failing, row: Row, before_the_end: int, attempts: int, next_try: range
) -> None:
    """The last try is at the end, but at least 30 seconds after this one."""
    clock = Still()
    books = builders.books_on(store, clock=clock, telling=Telling(is_on=True))
    store.tables["notices"][row.key]["attempts"] = attempts
    clock.advance(seconds=HOURS_72 - before_the_end)
    seen: list[int] = []

    def way(_: Row) -> Answer:
        seen.append(_stored(store)["due_at"] - BEGUN)
        return Failed("HTTP 500")

    delivery.deliver(books, {"url": way}, _now(store))
    (at,) = seen
    assert at in next_try


@pytest.mark.parametrize(
    ("attempts", "bounds"),
    [
        (0, (30, 30)),
        (1, (30, 60)),
        (2, (60, 120)),
        (3, (120, 240)),
        (8, (3840, 7680)),
        (9, (7200, 14_400)),
        (14, (7200, 14_400)),
        (100_000, (7200, 14_400)),
    ],
)
def test_a_pause_lies_between_half_of_a_doubled_one_and_all_of_it(
    monkeypatch: pytest.MonkeyPatch, attempts: int, bounds: tuple[int, int]
) -> None:
    drawn: list[tuple[int, int]] = []

    def randint(least: int, most: int) -> int:
        drawn.append((least, most))
        return most

    monkeypatch.setattr(JITTER, "randint", randint)
    assert delivery.pause_seconds(attempts) == bounds[1]
    assert drawn == [bounds]


def test_an_event_that_is_sent_again_is_as_new_but_keeps_its_last_error(
    books: Books, store: Failing, row: Row, clock: Still
) -> None:
    delivery.deliver(books, {"url": _answering(Gone())}, row)
    clock.advance(hours=100)
    delivery.send_again(books, _now(store))
    assert _stored(store) == {
        "state": "pending",
        "attempts": 0,
        "since": BEGUN + 360_000,
        "due": "due",
        "due_at": BEGUN + 360_000,
        "last_error": "url: 410 Gone",
    }


@pytest.mark.parametrize(("after", "is_due"), [(59, False), (60, True), (61, True)])
def test_an_event_is_due_from_its_second_on(
    books: Books, row: Row, clock: Still, after: int, *, is_due: bool
) -> None:
    clock.advance(seconds=after)
    assert delivery.find_due(books, row.key) == (row if is_due else None)


def test_what_has_ended_or_is_gone_is_not_due(
    books: Books, store: Failing, row: Row, clock: Still
) -> None:
    """The index that named it is a moment behind."""
    delivery.deliver(books, {"url": _answering(Sent())}, row)
    store.tables["notices"][row.key]["due_at"] = BEGUN
    clock.advance(hours=1)
    assert delivery.find_due(books, row.key) is None
    store.tables["notices"].clear()
    assert delivery.find_due(books, row.key) is None


def test_an_end_that_could_not_be_written_leaves_the_event_due(
    books: Books, store: Failing, row: Row
) -> None:
    """It is delivered again then: twice rather than never."""
    store.error = OutcomeUnknownError("lost")
    assert delivery.deliver(books, {"url": _answering(Sent())}, row) == "delivered"
    assert (_stored(store)["state"], _stored(store)["due_at"]) == ("pending", BEGUN + 30)


@pytest.mark.parametrize("error", [AwsRefusedError("AccessDenied"), RuntimeError("a fault")])
def test_a_fault_in_writing_the_end_is_not_hidden(
    books: Books, store: Failing, row: Row, error: Exception
) -> None:
    store.error = error
    with pytest.raises(type(error)):
        delivery.deliver(books, {"url": _answering(Sent())}, row)


@pytest.mark.parametrize("changed", ["attempts", "since", "state"])
def test_an_event_that_is_another_runs_is_not_tried(
    books: Books, store: Failing, row: Row, changed: str
) -> None:
    """Tried, sent again or ended, since it was read."""
    values: dict[str, Any] = {"attempts": 1, "since": BEGUN + 1, "state": "dead"}
    store.tables["notices"][row.key][changed] = values[changed]
    before = dict(_stored(store))
    tried: list[Row] = []
    ways = {"url": lambda found: tried.append(found) or Sent()}  # type: ignore[func-returns-value]
    assert delivery.deliver(books, ways, row) == "skipped"
    assert (tried, _stored(store)) == ([], before)
