import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from topup_client.errors import HoldClosed, OutcomeUnknown, QuotaExhausted, Refused, Unavailable
from topup_client.purse import Purse
from topup_client.results import Hold
from topup_client.terms import Terms

EVER = datetime(2026, 1, 1, tzinfo=UTC)


def _hold(units: int, name: str = "hold_1", remaining: int = 0) -> Hold:
    return Hold(name, units, remaining, EVER)


def _purse(units: int, **terms: Any) -> Purse:
    purse = Purse(Terms(**{"size": 100, "ahead_seconds": None, "lifetime_seconds": 60, **terms}))
    purse.add(_hold(units), units, 0)
    return purse


def test_units_are_spent_until_none_is_left() -> None:
    """And not one more; the empty tranche is to be captured whole."""
    purse = _purse(10)
    assert [purse.spend(4, 1) for _ in range(3)] == [True, True, False]
    assert purse.spend(2, 1)
    assert not purse.spend(1, 1)
    assert [(tranche.used, tranche.left) for tranche in purse.to_close] == [(10, 0)]


def test_a_debit_may_span_two_holds() -> None:
    """What the first lacks, the second gives."""
    purse = _purse(10)
    purse.add(_hold(10, "hold_2"), 10, 1)
    assert purse.spend(7, 2)
    assert purse.spend(7, 2)
    assert purse.left == 6
    assert [(tranche.hold_id, tranche.used) for tranche in purse.to_close] == [("hold_1", 10)]


def test_nothing_is_spent_from_a_hold_near_its_end() -> None:
    """60 s less the service's rounding less the margin of 10 s, after the request was sent."""
    purse = _purse(10)
    assert purse.spend(1, 48.999)
    assert not purse.spend(1, 49)
    assert [(tranche.used, tranche.left) for tranche in purse.to_close] == [(1, 9)]


def test_the_next_hold_is_wanted_when_few_units_are_left_or_little_time() -> None:
    """But not while the service has said that there is no more."""
    purse = _purse(100)
    assert not purse.is_low(1)
    purse.spend(75, 1)
    assert not purse.is_low(1)
    purse.spend(1, 1)
    assert purse.is_low(1)
    purse.fetch_failed(QuotaExhausted(0, "url"), 1)
    assert not purse.is_low(1)
    assert _purse(100).is_low(45)


def test_a_refusal_is_remembered_for_a_moment_and_counts_what_is_here() -> None:
    """Units at hand are the customer's, too."""
    purse = _purse(10)
    purse.fetch_failed(QuotaExhausted(3, "url"), 5)
    with pytest.raises(QuotaExhausted) as refused:
        purse.complain(5.9)
    assert refused.value.remaining == 13
    purse.complain(6)


def test_a_failed_fetch_is_remembered_longer_each_time() -> None:
    """0.5 s, 1 s, ... 8 s; a hold that comes ends it."""
    purse, now = Purse(Terms()), 0.0
    for pause in (0.5, 1, 2, 4, 8, 8):
        purse.fetch_failed(OutcomeUnknown("lost"), now)
        with pytest.raises(OutcomeUnknown):
            purse.complain(now + pause - 0.01)
        now += pause
        purse.complain(now)
    purse.fetch_failed(Refused(403, "forbidden", "no scope"), now)
    with pytest.raises(Unavailable, match="no scope"):
        purse.complain(now)
    purse.add(_hold(1), 1, now)
    purse.complain(now)


def test_a_forked_child_has_none_of_the_parents_units() -> None:
    """Neither to spend nor to capture: all of it is its parent's."""
    purse = _purse(10)
    purse.add(_hold(10, "hold_2"), 10, 1)
    purse.spend(15, 1)
    purse.forget()
    assert (purse.left, purse.spend(1, 1), purse.to_close, purse.next_due()) == (0, False, (), None)


@pytest.mark.parametrize(
    "error", [HoldClosed(409, "hold_closed", ""), Refused(404, "not_found", "")]
)
def test_units_whose_hold_had_gone_are_counted_as_lost(error: Refused) -> None:
    """The seller bears them, and is told."""
    purse = _purse(10)
    purse.spend(4, 0)
    purse.retire_all()
    purse.closing_ended(purse.to_close[0], error, 1)
    assert (purse.tally.lost, purse.tally.captured, purse.to_close) == (4, 0, ())


@pytest.mark.parametrize("error", [OutcomeUnknown(""), Unavailable(""), Refused(401, "", "")])
def test_what_could_not_be_captured_is_captured_later(error: Exception) -> None:
    """Not at once, and not forgotten."""
    purse = _purse(10)
    purse.spend(4, 0)
    purse.retire_all()
    purse.closing_ended(purse.to_close[0], error, 1)  # type: ignore[arg-type]
    assert purse.closable(2.9, with_rest=True) == []
    assert purse.next_due() == 3
    assert [tranche.used for tranche in purse.closable(3, with_rest=True)] == [4]


@pytest.mark.parametrize(
    "terms",
    [
        {"size": 0},
        {"size": 10, "low_water": 10},
        {"low_water": -1},
        {"lifetime_seconds": 0},
        {"lifetime_seconds": 86_401},
        {"margin_seconds": 0},
        {"lifetime_seconds": 10, "margin_seconds": 9},
        {"refusal_seconds": 0},
    ],
)
def test_terms_that_cannot_work_are_refused(terms: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=list(terms)[-1]):
        Terms(**terms)


class Story(RuleBasedStateMachine):
    """A purse beside an account: units are nowhere twice and nowhere lost, and a hold past its end
    is never spent from.
    """

    def __init__(self) -> None:
        """500 units at the service."""
        super().__init__()
        self.purse = Purse(
            Terms(size=50, ahead_seconds=None, lifetime_seconds=20, margin_seconds=5)
        )
        self.now, self.remaining, self.served, self.captured, self.lost = 0.0, 500, 0, 0, 0
        self.open: dict[str, tuple[int, float]] = {}
        self.number = 0

    @rule(units=st.integers(1, 70), lag=st.floats(0, 5))
    def fetch(self, units: int, lag: float) -> None:
        """The service holds what is asked for; its clock starts when the request comes, and rounds
        down.
        """
        ask = self.purse.ask(units, self.now)
        held = min(ask.units, self.remaining)
        if held >= ask.at_least:
            sent, self.number = self.now, self.number + 1
            self.now += lag
            self.remaining -= held
            self.open[f"hold_{self.number}"] = (held, float(int(sent + lag / 2 + 20)))
            self.purse.add(_hold(held, f"hold_{self.number}", self.remaining), ask.units, sent)

    @rule(units=st.integers(1, 120))
    def spend(self, units: int) -> None:
        """Refused exactly when the units are not there; each used unit is of a
        hold that is open.
        """
        before = {tranche: tranche.used for tranche in (*self.purse._usable, *self.purse._to_close)}
        self.purse.retire(self.now)
        left = self.purse.left
        assert self.purse.spend(units, self.now) == (left >= units)
        if left >= units:
            self.served += units
        for tranche, used in before.items():
            assert tranche.used == used or self.now < self.open[tranche.hold_id][1] - 5

    @rule(seconds=st.floats(0, 9))
    def time_passes(self, seconds: float) -> None:
        """Holds expire at the service, and their units are back, used or not."""
        self.now += seconds
        for hold_id, (units, expires_at) in list(self.open.items()):
            if expires_at <= self.now:
                del self.open[hold_id]
                self.remaining += units

    @precondition(lambda self: self.purse.to_close)
    @rule(is_unknown=st.booleans(), with_rest=st.booleans())
    def close(self, *, is_unknown: bool, with_rest: bool) -> None:
        """Captured when it is still open; an answer may be lost."""
        for tranche in self.purse.closable(self.now, with_rest=with_rest):
            if is_unknown:
                self.purse.closing_ended(tranche, OutcomeUnknown("lost"), self.now)
            elif held := self.open.pop(tranche.hold_id, None):
                self.remaining += held[0] - tranche.used
                self.captured += tranche.used
                self.purse.closing_ended(tranche, None, self.now)
            else:
                self.lost += tranche.used
                self.purse.closing_ended(tranche, HoldClosed(409, "hold_closed", ""), self.now)

    @rule()
    def fork(self) -> None:
        """A child has nothing of it, to spend or to capture; here it ends at once."""
        child = copy.deepcopy(self.purse)
        child.forget()
        assert (child.left, child.spend(1, self.now), child.to_close, child.next_due()) == (
            0,
            False,
            (),
            None,
        )

    @invariant()
    def the_books_balance(self) -> None:
        """Every unit is in one place."""
        purse, tranches = self.purse, (*self.purse._usable, *self.purse._to_close)
        assert self.remaining + sum(units for units, _ in self.open.values()) + self.captured == 500
        assert purse.left == sum(tranche.left for tranche in purse._usable) >= 0
        assert (
            purse.tally.spent
            == self.served
            == self.captured + self.lost + sum(tranche.used for tranche in tranches)
        )
        assert (purse.tally.captured, purse.tally.lost) == (self.captured, self.lost)
        assert all(0 <= tranche.used <= tranche.units for tranche in tranches)
        assert purse.next_due() is not None or not tranches

    @invariant()
    def whatever_can_be_spent_is_held_at_the_service(self) -> None:
        """So that no other process can spend it."""
        self.purse.retire(self.now)
        for tranche in self.purse._usable:
            assert self.open[tranche.hold_id][0] == tranche.units


TestStory = Story.TestCase
TestStory.settings = settings(max_examples=60, stateful_step_count=40)
