"""The size of a hold after the third, when figures of two earlier ones have faded."""

from datetime import UTC, datetime

import pytest
from topup_client.results import Hold
from topup_client.sizing import Sizing
from topup_client.terms import Terms

EVER = datetime(2026, 1, 1, tzinfo=UTC)


def _hold(units: int, remaining: int, limit: int | None = None) -> Hold:
    return Hold("hold_1", units, remaining, EVER, limit_remaining=limit)


@pytest.mark.parametrize(
    ("spent", "now", "units"),
    [
        (100, 9, 35),
        (105, 19, 10),
        (100, 19, 1),
        (140, 19, 35),
        (101, 10, 20),
    ],
)
def test_what_was_taken_is_counted_from_the_last_hold_and_fades(
    spent: int, now: float, units: int
) -> None:
    """This process took 60 and then 40, others 120 and then 55: 5 of what came back were its own.

    The share is 700 x 85.5625 / (2 x 85.5625 + 10 x 153.4375), or 20 seconds of the present rate.
    """
    sizing = Sizing(Terms())
    sizing.learn(_hold(1000, 1000), 1000, 0, spent=0, released=0)
    sizing.learn(_hold(100, 800), 100, 4, spent=60, released=20)
    sizing.learn(_hold(50, 700), 50, 9, spent=100, released=25)
    assert sizing.size(spent, now) == units


@pytest.mark.parametrize(
    ("remaining", "limit", "units"),
    [(15_200, None, 100), (15_200, 1520, 10), (1520, 15_200, 10), (15_200, 0, 1)],
)
def test_a_share_is_of_the_less_of_account_and_limit(
    remaining: int, limit: int | None, units: int
) -> None:
    """And one unit at least is asked for."""
    sizing = Sizing(Terms())
    sizing.learn(_hold(1000, remaining, limit), 1000, 0, spent=0, released=0)
    assert sizing.size(0, 0) == units


@pytest.mark.parametrize(
    ("asked", "units"), [(1, 4), (3, 12), (600, 2400), (625, 2500), (700, 2500)]
)
def test_a_hold_is_four_times_the_last_one_and_never_above_the_size(asked: int, units: int) -> None:
    """Whatever remains and however much is spent."""
    sizing = Sizing(Terms())
    sizing.learn(_hold(asked, 10**9), asked, 0, spent=0, released=0)
    assert sizing.size(10**6, 1) == units


def test_without_time_ahead_every_hold_has_the_size() -> None:
    sizing = Sizing(Terms(ahead_seconds=None, size=77))
    assert sizing.size(0, 0) == 77
    sizing.learn(_hold(1, 3), 1, 0, spent=0, released=0)
    assert sizing.size(0, 100) == 77
