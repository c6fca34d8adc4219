"""The times and figures of a purse at their bounds, and what it writes to the log, whole."""

import asyncio
import logging
from datetime import UTC, datetime
from math import inf
from typing import Any

import httpx
import pytest
from topup_client import AsyncLease, AsyncMeter, Lease, Meter, Tally, Unavailable
from topup_client.errors import HoldClosed, OutcomeUnknown, QuotaExhausted, Refused, TopupError
from topup_client.keeper import Keeper
from topup_client.purse import Purse
from topup_client.results import Hold
from topup_client.terms import Terms

EVER = datetime(2026, 1, 1, tzinfo=UTC)
PAST_ITS_TIME = "hold_1 was past its time (409 hold_closed: late)"


def _purse(**terms: Any) -> Purse:
    return Purse(Terms(**{"size": 100, "ahead_seconds": None, "low_water": 0, **terms}))


def _add(purse: Purse, units: int, sent: float, name: str = "hold_1", remaining: int = 0) -> None:
    purse.add(Hold(name, units, remaining, EVER), units, sent)


@pytest.mark.parametrize(
    ("ahead_seconds", "spent_at", "due"),
    [
        (None, 5, 49),
        (20, None, 10),
        (20, 5, 15),
        (20, 35, 40),
        (98, 5, 49),
    ],
)
def test_a_purse_is_due_when_its_units_end_or_nobody_has_spent_for_a_while(
    ahead_seconds: float | None, spent_at: float | None, due: float
) -> None:
    """From when the hold was asked for, or the last debit."""
    purse = _purse(ahead_seconds=ahead_seconds)
    _add(purse, 10, 0)
    if spent_at is not None:
        assert purse.spend(1, spent_at)
    assert purse.next_due() == due
    purse.retire(due - 0.001)
    assert purse.left > 0
    purse.retire(due)
    assert (purse.left, purse.next_due()) == (0, 0)


def test_the_older_of_two_holds_is_due_first() -> None:
    purse = _purse()
    _add(purse, 10, 0)
    _add(purse, 10, 20, "hold_2")
    assert purse.next_due() == 49
    purse.retire(49)
    assert [tranche.hold_id for tranche in purse.to_close] == ["hold_1"]
    assert (purse.left, purse.next_due()) == (10, 0)
    purse.closing_ended(purse.to_close[0], OutcomeUnknown("lost"), 49)
    assert purse.next_due() == 51
    purse.closing_ended(purse.to_close[0], None, 51)
    assert purse.next_due() == 69


def test_a_hold_that_was_asked_for_before_the_last_debit_does_not_make_it_older() -> None:
    """Its answer may be late; the customer has called meanwhile."""
    purse = _purse(ahead_seconds=20)
    _add(purse, 10, 0)
    assert purse.spend(1, 9)
    _add(purse, 10, 3, "hold_2")
    assert purse.next_due() == 19
    _add(purse, 10, 12, "hold_3")
    assert purse.next_due() == 22


@pytest.mark.parametrize(
    ("terms", "renewed_at"),
    [
        ({}, 44),
        ({"margin_seconds": 40}, 14.25),
        ({"ahead_seconds": 10}, 15),
        ({"margin_seconds": 2}, 56),
    ],
)
def test_a_hold_is_renewed_half_a_margin_or_a_quarter_of_its_time_before_its_end(
    terms: dict[str, Any], renewed_at: float
) -> None:
    purse = _purse(**terms)
    _add(purse, 100, 0)
    assert not purse.is_low(renewed_at - 0.001)
    assert purse.is_low(renewed_at)


@pytest.mark.parametrize(
    ("low_water", "units", "low"),
    [(40, 100, 40), (40, 50, 20), (40, 3, 1), (40, 1, 0), (0, 100, 0)],
)
def test_a_smaller_hold_has_a_lower_mark(low_water: int, units: int, low: int) -> None:
    """In proportion, rounded down; never above the one that was given."""
    purse = _purse(low_water=low_water)
    purse.add(Hold("hold_1", units, 0, EVER), units, 0)
    while purse.left > low:
        assert not purse.is_low(1)
        assert purse.spend(1, 1)
    assert not purse.is_low(1)
    if low:
        assert purse.spend(1, 1)
        assert purse.is_low(1)


def test_a_hold_larger_than_the_size_has_the_given_mark() -> None:
    """One call may ask for more."""
    purse = _purse(low_water=40)
    purse.add(Hold("hold_1", 1000, 0, EVER), 1000, 0)
    assert purse.spend(960, 1)
    assert not purse.is_low(1)
    assert purse.spend(1, 1)
    assert purse.is_low(1)


def test_a_debit_over_four_holds_empties_them_in_their_order() -> None:
    purse = _purse()
    for number, units in enumerate((3, 4, 5, 6)):
        _add(purse, units, number, f"hold_{number}")
    assert purse.spend(2, 5)
    assert purse.spend(11, 5)
    assert [(one.hold_id, one.used, one.left) for one in purse.to_close] == [
        ("hold_0", 3, 0),
        ("hold_1", 4, 0),
        ("hold_2", 5, 0),
    ]
    assert (purse.left, purse.tally) == (5, Tally(spent=13))
    assert purse.next_due() == 0
    assert purse.spend(5, 5)
    assert [one.used for one in purse.to_close] == [3, 4, 5, 6]
    assert not purse.spend(1, 5)


def test_what_becomes_of_units_is_counted_once_each() -> None:
    """Captured, given back, lost."""
    purse = _purse()
    for number, spent in enumerate((4, 0, 7)):
        _add(purse, 10, 0, f"hold_{number}")
        purse.left and spent and purse.spend(spent, 1)
        purse.retire_all()
    first, second, third = purse.to_close
    purse.closing_ended(first, None, 2)
    purse.closing_ended(second, None, 2)
    purse.closing_ended(third, HoldClosed(409, "hold_closed", "gone"), 2)
    assert purse.tally == Tally(spent=11, captured=4, released=16, lost=7)
    assert (purse.to_close, purse.next_due()) == ((), None)


@pytest.mark.parametrize(
    ("error", "used", "lines"),
    [
        (
            HoldClosed(409, "hold_closed", "late"),
            4,
            [
                (
                    "ERROR",
                    f"4 units were served and not paid for: {PAST_ITS_TIME}",
                )
            ],
        ),
        (HoldClosed(409, "hold_closed", "late"), 0, []),
        (Refused(404, "not_found", "no"), 0, []),
        (
            OutcomeUnknown("lost"),
            4,
            [("WARNING", "hold_1 is not closed yet, with 4 units used: lost")],
        ),
        (
            Refused(403, "forbidden", "no"),
            0,
            [("WARNING", "hold_1 is not closed yet, with 0 units used: 403 forbidden: no")],
        ),
    ],
)
def test_what_could_not_be_captured_is_one_whole_line(
    caplog: pytest.LogCaptureFixture, error: TopupError, used: int, lines: list[tuple[str, str]]
) -> None:
    caplog.set_level(logging.DEBUG, "topup_client")
    purse = _purse()
    _add(purse, 10, 0)
    if used:
        assert purse.spend(used, 1)
    purse.retire_all()
    purse.closing_ended(purse.to_close[0], error, 2)
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == lines


def test_what_stays_open_at_the_end_is_a_line_for_each_hold(
    caplog: pytest.LogCaptureFixture,
) -> None:
    purse = _purse()
    for number in (1, 2):
        _add(purse, 10, 0, f"hold_{number}")
    assert purse.spend(12, 1)
    purse.retire_all()
    purse.report_unclosed()
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        (
            "ERROR",
            f"hold_{number} stays open with {used} units used: it gives all back when it expires",
        )
        for number, used in ((1, 10), (2, 2))
    ]


def test_units_that_went_back_may_be_asked_for_at_once() -> None:
    """A refusal is forgotten; what was spent whole gives nothing back, and changes nothing."""
    purse = _purse(low_water=50)
    for number in (1, 2):
        _add(purse, 10, 0, f"hold_{number}")
    assert purse.spend(10, 1)
    (whole,) = purse.to_close
    purse.fetch_failed(QuotaExhausted(0, "url"), 1)
    purse.closing_ended(whole, None, 1)
    assert not purse.is_low(1)
    with pytest.raises(QuotaExhausted):
        purse.complain(1)
    purse.retire_all()
    purse.closing_ended(purse.to_close[0], None, 1)
    assert purse.is_low(1)
    purse.complain(1)


def test_a_hold_of_less_than_was_asked_for_keeps_the_next_one_back() -> None:
    """And one of all that was asked for does not."""
    for units, is_low in ((9, False), (10, True)):
        purse = _purse(low_water=99)
        purse.add(Hold("hold_1", units, 0, EVER), 10, 0)
        assert purse.spend(units - 1, 1)
        assert purse.is_low(1) is is_low
        assert purse.is_low(15) is True


def test_an_empty_purse_is_never_due_and_lacks_at_least_one_unit() -> None:
    purse = _purse()
    assert (purse.left, purse.next_due(), purse.spend(1, 0)) == (0, None, False)
    assert [purse.ask(units, 0).at_least for units in (0, 1, 7)] == [1, 1, 7]
    _add(purse, 5, 0)
    assert [purse.ask(units, 0).at_least for units in (0, 5, 6, 9)] == [1, 1, 1, 4]
    assert purse.ask(200, 0).units == 195
    assert purse.ask(9, 0).units == 100
    purse.retire(inf)
    assert purse.left == 0


def _nothing(asked: list[str]) -> httpx.MockTransport:
    """A service whose every hold is spent by others at once."""

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        number = len(asked)
        body = {"hold_id": f"hold_{number}", "units": 0, "remaining": 0}
        return httpx.Response(201, json={**body, "expires_at": "2026-01-02T03:04:05Z"})

    return httpx.MockTransport(handle)


def test_a_debit_waits_for_ten_fetches_and_no_more() -> None:
    """Each time others have spent what came."""
    asked: list[str] = []
    meter = Meter("https://a.example.com", "t", transport=_nothing(asked))
    lease = Lease(meter, "alice", keeper=Keeper(0, lambda: 0.0), clock=lambda: 0.0)
    with pytest.raises(Unavailable, match="10 times; nothing was taken"):
        lease.debit()
    assert asked == ["/api/v1/quota/holds"] * 10


def test_an_awaited_debit_waits_for_ten_fetches_and_no_more() -> None:
    asked: list[str] = []

    async def story() -> None:
        meter = AsyncMeter("https://a.example.com", "t", transport=_nothing(asked))
        lease = AsyncLease(meter, "alice", clock=lambda: 0.0, at_exit=False)
        with pytest.raises(Unavailable, match="10 times; nothing was taken"):
            await lease.debit()

    asyncio.run(story())
    assert asked == ["/api/v1/quota/holds"] * 10
