"""Holds are captured, released or expire, each exactly once."""

import pytest
from billing.books import Books
from billing.expiry.hold_expiry import CLOSED_KEPT_SECONDS
from billing.holds import closing, placing
from billing.spending import debits, memory
from billing.spending.meter import Meter
from billing.storage.writes import Write
from support import quotas
from support.builders import START, Clock


def test_no_more_is_captured_than_was_held(books: Books, meter: Meter) -> None:
    """Though as much remains."""
    hold = placing.place(meter, "alice", 40, 60).hold_id
    assert quotas.refused(lambda: closing.capture(meter, hold, 41)) == "exceeds_hold"
    assert quotas.three(books) == (0, 40, 60)


def test_what_was_not_captured_comes_back(books: Books, meter: Meter) -> None:
    """A repeat replays."""
    hold = placing.place(meter, "alice", 40, 60).hold_id
    assert closing.capture(meter, hold, 25) == closing.capture(meter, hold, 25)
    assert quotas.three(books) == (25, 0, 75)


def test_two_concurrent_releases_release_once(books: Books, meter: Meter) -> None:
    """The other one was quicker."""
    hold = placing.place(meter, "alice", 40, 60).hold_id
    books.store.first = lambda: closing.release(meter, hold)  # type: ignore[attr-defined]
    closing.release(meter, hold)
    assert quotas.three(books) == (0, 0, 100)


def test_a_released_hold_is_not_captured(books: Books, meter: Meter) -> None:
    """409, and nothing taken."""
    hold = placing.place(meter, "alice", 40, 60).hold_id
    closing.release(meter, hold)
    assert quotas.refused(lambda: closing.capture(meter, hold, 25)) == "hold_closed"
    assert quotas.three(books) == (0, 0, 100)


def test_an_expired_hold_is_not_captured(books: Books, meter: Meter, clock: Clock) -> None:
    """The account had no request since. The hold counts as given back all the same."""
    hold = placing.place(meter, "alice", 40, 60).hold_id
    clock.advance(seconds=61)
    assert quotas.refused(lambda: closing.capture(meter, hold, 25)) == "hold_closed"
    assert quotas.three(books) == (0, 0, 100)


MORNING = int(START.timestamp())


@pytest.mark.parametrize(("hours", "end"), [(0, MORNING + 3600), (2, MORNING + 7200)])
def test_a_closed_hold_is_reported_for_thirty_days_after_its_end(
    meter: Meter, clock: Clock, hours: int, end: int
) -> None:
    """After its expiry if it was captured early, after it was given back if that was late: a repeat
    of either is answered as long.
    """
    placed = placing.place(meter, "alice", 20, 3600).hold_id
    clock.advance(hours=hours)
    if hours:
        debits.debit(meter, "alice", 1)
    else:
        closing.capture(meter, placed, 20)
    (closed,) = meter.books.store.pages("quotas", "alice", "closed#")
    assert abs(closed["ttl"] - end - 30 * 24 * 3600) <= 1
    assert CLOSED_KEPT_SECONDS == 30 * 24 * 3600


def test_a_hold_that_ends_later_leaves_the_first_end_as_it_is(meter: Meter, clock: Clock) -> None:
    """Also where this container has not seen the one that ends first: as much remains as it
    remembers, by units that came in beside that hold.
    """
    placing.place(meter, "alice", 1, 600)
    seen = dict(memory._seen)
    memory._seen.clear()
    placing.place(meter, "alice", 1, 60)
    more = {"remaining": 1, "total": 1}
    meter.books.store.update(Write("quotas", ("alice", "quota"), add=more))
    memory._seen.clear()
    memory._seen.update(seen)
    calls = meter.books.store.calls  # type: ignore[attr-defined]
    placing.place(meter, "alice", 1, 900)
    assert meter.books.store.calls == calls + 1  # type: ignore[attr-defined]
    clock.advance(seconds=61)
    assert debits.read(meter.books, "alice").held == 2
