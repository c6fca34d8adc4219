"""The figures of a lease: what they are unless given, their bounds, and what is made of them."""

import asyncio
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from topup_client import Lease, Meter
from topup_client.aio_meter import AsyncMeter
from topup_client.errors import QuotaExhausted, Unavailable
from topup_client.keeper import Keeper
from topup_client.memory import Memory
from topup_client.purse import Purse
from topup_client.results import Hold
from topup_client.sizing import Sizing
from topup_client.terms import Terms
from topup_client.tranche import Tally, Tranche

README = Path(__file__).parents[2] / "client" / "README.md"
EVER = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["size", "ahead_seconds", "lifetime_seconds", "margin_seconds", "refusal_seconds"]
)
def test_the_terms_are_those_of_the_readme(name: str) -> None:
    """Who reads that page sees what is done without a word of theirs."""
    (shown,) = re.findall(rf"(?m)^\| `{name}` \| ([\d ]+) \|", README.read_text(encoding="utf-8"))
    assert getattr(Terms(), name) == int(shown.replace(" ", ""))


@pytest.mark.parametrize(
    ("refused", "taken", "why"),
    [
        ({"size": 0}, {"size": 1}, "size must be 1 or more units, not 0"),
        ({"low_water": -1}, {"low_water": 0}, "low_water must be 0 or more"),
        ({"low_water": 2500}, {"low_water": 2499}, "less than size (2500), not 2500"),
        ({"lifetime_seconds": 0}, {"lifetime_seconds": 12}, "lifetime_seconds must be 1 to"),
        ({"lifetime_seconds": 86_401}, {"lifetime_seconds": 86_400}, "lifetime_seconds must be"),
        ({"margin_seconds": 0}, {"margin_seconds": 0.1}, "margin_seconds must be above 0"),
        ({"margin_seconds": 59}, {"margin_seconds": 58.9}, "below lifetime_seconds - 1, not 59"),
        ({"ahead_seconds": 0}, {"ahead_seconds": 0.1}, "ahead_seconds must be above 0 or None"),
        ({"refusal_seconds": 0}, {"refusal_seconds": 0.1}, "refusal_seconds must be above 0"),
    ],
)
def test_terms_that_cannot_work_are_refused_at_once(
    refused: dict[str, Any], taken: dict[str, Any], why: str
) -> None:
    """With the name of what is wrong; the next figure works."""
    with pytest.raises(ValueError, match=re.escape(why)):
        Terms(**refused)
    Terms(**taken)


def test_a_lease_whose_life_is_too_short_is_told_of_its_margin() -> None:
    """The service itself takes a hold of one second."""
    with pytest.raises(ValueError, match="margin_seconds must be above 0 and below"):
        Terms(lifetime_seconds=1)


@pytest.mark.parametrize(
    ("terms", "usable", "idle"),
    [
        ({}, 40, 10),
        ({"ahead_seconds": 30}, 49, 15),
        ({"ahead_seconds": None}, 49, float("inf")),
        ({"ahead_seconds": None, "margin_seconds": 20}, 39, float("inf")),
    ],
)
def test_units_are_spent_for_twice_the_time_ahead_or_until_the_margin(
    terms: dict[str, Any], usable: float, idle: float
) -> None:
    """A second is the service's rounding; who spends nothing for half the time gives back."""
    found = Terms(**terms)
    assert (found.usable_seconds, found.idle_seconds) == (usable, idle)


def test_a_quarter_is_the_low_water_unless_it_is_given() -> None:
    """Of the size."""
    assert [Terms(size=100).low, Terms(size=100, low_water=7).low] == [25, 7]


def _hold(units: int, remaining: int, left_of_limit: int | None = None) -> Hold:
    return Hold("hold_1", units, remaining, EVER, limit_remaining=left_of_limit)


def test_the_first_hold_is_of_one_unit_and_the_next_of_four_times_as_many_at_most() -> None:
    """Where much remains and much is spent."""
    sizing = Sizing(Terms())
    assert sizing.size(0, 0) == 1
    sizing.learn(_hold(1, 10**6), 1, 0, spent=0, released=0)
    assert sizing.size(1, 1) == 4
    sizing.learn(_hold(4, 10**6), 4, 1, spent=1, released=0)
    assert sizing.size(5, 2) == 16


def test_a_hold_is_what_was_spent_in_the_time_ahead() -> None:
    """20 seconds of it, or half of the time in which a hold is spent."""
    for terms, units in ((Terms(), 200), (Terms(lifetime_seconds=21), 50), (Terms(size=7), 7)):
        sizing = Sizing(terms)
        sizing.learn(_hold(1000, 10**6), 1000, 0, spent=0, released=0)
        assert sizing.size(100, 10) == units


def test_a_hold_is_the_share_of_one_among_sixteen_before_others_were_seen() -> None:
    """Of each hundred and fifty-two units one: twice itself, and ten times fifteen others."""
    sizing = Sizing(Terms())
    sizing.learn(_hold(1000, 15_200), 1000, 0, spent=0, released=0)
    assert sizing.size(0, 0) == 100


@pytest.mark.parametrize(
    ("remains", "released", "units"),
    [
        (800, 20, 33),  # others took 120: 800 x 60.75 / (2 x 60.75 + 10 x 131.25)
        (800, 0, 39),  # others took 100: 800 x 60.75 / (2 x 60.75 + 10 x 111.25)
        (900, 0, 233),  # no other process took anything: 900 x 60.75 / (2 x 60.75 + 10 x 11.25)
        (5000, 0, 400),  # somebody bought: all that a hold of 100 may grow to
        (950, 0, 246),  # which counts as none, not as fewer than none
    ],
)
def test_a_share_is_of_what_this_process_and_others_were_seen_to_take(
    remains: int, released: int, units: int
) -> None:
    """What was seen earlier counts for three quarters at each hold."""
    sizing = Sizing(Terms())
    sizing.learn(_hold(1000, 1000), 1000, 0, spent=0, released=0)
    sizing.learn(_hold(100, remains), 100, 0, spent=60, released=released)
    assert sizing.size(60, 0) == units


def test_trouble_is_remembered_twice_as_long_each_time_up_to_eight_seconds() -> None:
    """And half a second after the next hold has come."""
    memory, now, seconds = Memory(Terms()), 100.0, []
    for _ in range(6):
        memory.note(Unavailable("no answer"), now)
        seconds.append(memory.quiet_until - now)
        now = memory.quiet_until
    memory.fetched()
    memory.note(Unavailable("no answer"), now)
    assert [*seconds, memory.quiet_until - now] == [0.5, 1, 2, 4, 8, 8, 0.5]


@pytest.mark.parametrize(("terms", "quiet"), [({}, 15), ({"refusal_seconds": 20}, 20)])
def test_after_a_refusal_nothing_is_fetched_ahead_for_a_quarter_of_a_holds_life(
    terms: dict[str, Any], quiet: float
) -> None:
    """Or as long as the refusal is repeated, which is a second."""
    memory = Memory(Terms(**terms))
    memory.note(QuotaExhausted(3, "https://shop.example.com"), 100)
    assert memory.quiet_until == 100 + quiet
    with pytest.raises(QuotaExhausted) as refused:
        memory.complain(4, 100 + quiet / 16)
    assert refused.value.remaining == 7
    memory.complain(4, 100 + terms.get("refusal_seconds", 1))


def test_a_hold_that_was_just_placed_is_whole_and_may_be_closed_at_once() -> None:
    """And nothing has become of any unit yet."""
    tranche = Tranche("hold_1", 10, 40.0)
    assert (tranche.used, tranche.left, tranche.try_at) == (0, 10, 0)
    assert Tally() == Tally(spent=0, captured=0, released=0, lost=0)


def test_a_blocking_meter_asks_as_long_and_as_often_as_the_one_it_is_made_of() -> None:
    """It is for after the event loop has ended, and has the same service before it."""
    meter = AsyncMeter("https://api.example.com", "t", timeout_seconds=3.5, tries=2)
    with meter.blocking() as made:
        kept = made._service
        assert (kept.base_url, kept.token) == ("https://api.example.com/api/v1", "t")
        assert (kept.timeout_seconds, kept.tries) == (3.5, 2)
    asyncio.run(meter.aclose())


def test_what_is_spent_is_closed_apart_from_what_gives_units_back() -> None:
    """The one is urgent for the customer, the other for the seller."""
    purse = Purse(Terms(size=100, ahead_seconds=None, low_water=0))
    for name, spent in (("hold_1", 10), ("hold_2", 4)):
        purse.add(Hold(name, 10, 0, EVER), 10, 0)
        assert purse.spend(spent, 1)
    purse.retire_all()
    for with_rest, names in ((False, ["hold_1"]), (True, ["hold_2"])):
        found = purse.closable(2, with_rest=with_rest)
        assert [tranche.hold_id for tranche in found] == names


def test_a_lease_that_is_closed_leaves_a_keeper_of_others_at_work() -> None:
    """It ends its own alone."""
    stopped: list[Keeper] = []

    class Watched(Keeper):
        def stop(self) -> None:
            stopped.append(self)
            super().stop()

    keeper = Watched(1, lambda: 0.0)
    with Meter("https://api.example.com", "t") as meter:
        Lease(meter, "alice", keeper=keeper).close()
    assert stopped == []
    keeper.stop()
