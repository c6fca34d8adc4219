"""Random histories of spending: debits, keyed debits, holds and their ends, refunds, sweeps and
waiting, each call with any fault.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from billing.account import history
from billing.errors import BillingError, OutcomeUnknownError, RetryableError
from billing.expiry import hold_expiry
from billing.holds import closing, placing
from billing.quota.balance import Balance
from billing.settlement import settlement
from billing.spending import debits as quota
from billing.spending import memory
from billing.spending.meter import Meter
from hypothesis import given
from support import builders, laws
from support.builders import Clock, fact, pending
from support.histories import Act, Draw, live, many, steps, without
from support.schedules import FAULTS, Crash, ScheduledStore

RUNS = 500
STEPS = 30
PURCHASES_MAX = 3
REFUSALS = ("quota_exhausted", "hold_closed", "exceeds_hold")
UNITS_MAX = 60
SOME = ("debits", "debits_under_a_key", "holds_back", "closes_a_hold", "is_swept", "is_read")


class RoughStore(ScheduledStore):
    """The product's store with its own retry loop; its calls meet what they are to meet."""

    def __init__(self) -> None:
        """Nothing."""
        super().__init__()
        self.faults: list[str] = []

    def meet_fault(self) -> str:
        """The next one."""
        return self.faults.pop(0) if self.faults else ""


class Hold:
    """One hold as its caller knows it.

    ``end``: how it was asked to end, and with how many units; ``answered`` if that was confirmed.
    """

    def __init__(self, hold_id: str, units: int, expires_at: float) -> None:
        """Open."""
        self.hold_id, self.units, self.expires_at = hold_id, units, expires_at
        self.asked: set[tuple[str, int]] = set()
        self.answered: tuple[str, int] | None = None


def faults(draw: Draw) -> list[str]:
    """What the next calls of DynamoDB meet, one after the other."""
    return [draw.one_of(("", "", *FAULTS)) for _ in range(draw.upto(8))]


class Spending:
    """A seller's backend that records every answer."""

    def __init__(self) -> None:
        """Alice has bought once."""
        memory._seen.clear()
        self.store, self.clock = RoughStore(), Clock()
        self.books = builders.books_on(self.store, clock=self.clock)
        self.meter = Meter(self.books, "")
        self.taken = self.unsure = self.bought = 0
        self.keys: dict[str, set[str]] = {}
        self.holds: list[Hold] = []
        self.has([])

    def acts(self) -> Iterator[Act]:
        """Whatever can happen now."""
        yield from (
            self.debits,
            self.debits_under_a_key,
            self.holds_back,
            self.is_swept,
            self.is_read,
            self.waits,
        )
        if self.bought < PURCHASES_MAX:
            yield self.buys
        if self.holds:
            yield self.closes_a_hold

    def asks(self, faults: list[str], act: Callable[[], Any]) -> Any:
        """The answer; None for a refusal.

        Raise OutcomeUnknownError when the outcome is unknown, also when the process is gone.
        """
        self.store.faults = list(faults)
        self.store.deadline.begin()
        try:
            return act()
        except BillingError as refused:
            if refused.code not in REFUSALS:
                raise
            return None
        except Crash:
            memory._seen.clear()  # another container
            raise OutcomeUnknownError("the process is gone") from None
        finally:
            self.store.faults = []

    def buys(self, draw: Draw) -> None:
        """As Stripe: delivered until it is acknowledged."""
        self.has(faults(draw))

    def has(self, faults: list[str]) -> None:
        """A hundred units more."""
        self.bought += 1
        event = builders.completed(
            pending(self.books, payment_id=f"pay_{self.bought}", session_id=f"cs_{self.bought}")
        )
        try:
            self.asks(faults, lambda: settlement.apply(self.books, fact(event)))
        except RetryableError:
            settlement.apply(self.books, fact(event))

    def debits(self, draw: Draw) -> None:
        """Without a key, an unknown debit was taken once or not at all."""
        units = draw.upto(UNITS_MAX, 1)
        try:
            if self.asks(faults(draw), lambda: quota.debit(self.meter, "alice", units)):
                self.taken += units
        except RetryableError:
            self.unsure += units

    def debits_under_a_key(self, draw: Draw) -> None:
        """The same few again and again."""
        self.debits_once(draw.upto(6, 1), faults(draw))

    def debits_once(self, number: int, faults: list[str]) -> None:
        """Each is taken once."""
        known = self.keys.setdefault(f"k{number}", set())
        try:
            answer = self.asks(
                faults,
                lambda: quota.debit_once(self.meter, "alice", 7 * number, "backend", f"k{number}"),
            )
        except RetryableError:
            return
        if answer:
            known.add(answer.debit_id)
            assert len(known) == 1, f"k{number} was debited twice"

    def holds_back(self, draw: Draw) -> None:
        """A hold with a lost answer cannot be found by its id, and expires."""
        now, units, seconds = (
            self.clock.now.timestamp(),
            draw.upto(UNITS_MAX, 1),
            draw.one_of((1, 60, 600)),
        )
        try:
            answer = self.asks(
                faults(draw), lambda: placing.place(self.meter, "alice", units, seconds)
            )
        except RetryableError:
            return
        if answer:
            self.holds.append(Hold(answer.hold_id, units, now + seconds))

    def closes_a_hold(self, draw: Draw) -> None:
        """In time or late, once or again, one way or another."""
        hold, is_release = draw.one_of(self.holds), draw.one_of((False, True))
        self._close(
            hold,
            ("released", 0)
            if is_release
            else ("captured", min(draw.upto(UNITS_MAX, 1), hold.units)),
            faults(draw),
        )

    def _close(self, hold: Hold, end: tuple[str, int], faults: list[str]) -> None:
        now = self.clock.now.timestamp()
        in_time, too_late = (
            now < hold.expires_at,
            now >= hold.expires_at + 1,
        )  # its time is rounded up
        act = closing.release if end[0] == "released" else closing.capture
        rest = () if end[0] == "released" else (end[1],)
        is_first = not hold.asked
        hold.asked.add(end)
        try:
            answer = self.asks(faults, lambda: act(self.meter, hold.hold_id, *rest))
        except RetryableError:
            return
        if answer:
            assert hold.answered in (None, end), "one hold ended in two ways"
            hold.answered = end
        if is_first:
            assert answer or not in_time, "a hold was refused in time, though it was open"
            assert not (answer and too_late), "a hold was closed after its time"

    def is_swept(self, draw: Draw) -> None:
        """The schedule's work may fail."""
        try:
            self.sweeps(faults(draw))
        except RetryableError:
            return

    def sweeps(self, faults: list[str]) -> None:
        """Expired holds are given back."""
        self.asks(faults, lambda: hold_expiry.give_back_expired(self.books, "alice", self.stored()))

    def is_read(self, draw: Draw) -> None:
        """Never less than nothing, and the ledger's sums follow from each other."""
        limit = draw.upto(3, 1)
        try:
            balance = self.asks(faults(draw), lambda: quota.read(self.books, "alice"))
            rows = self.asks(faults(draw), lambda: history.entries(self.books, "alice", limit, ""))[
                "entries"
            ]
        except RetryableError:
            return
        assert min(balance.remaining, balance.held, balance.used, balance.debt) >= 0
        assert rows[0]["balance_after"] == balance.ledger_units
        assert all(
            one["balance_after"] - one["units"] == other["balance_after"]
            for one, other in pairwise(rows)
        )

    def waits(self, draw: Draw) -> None:
        """Holds expire, days end."""
        self.clock.advance(milliseconds=draw.one_of((300, 1_000, 61_000, 90_000_000)))

    def stored(self) -> Balance:
        """As it is written."""
        return Balance.from_item(self.store.get("quotas", ("alice", "quota")))

    def check(self) -> None:
        """The laws."""
        laws.check(self.store.memory)

    def end(self) -> None:
        """Faults stop, unknown outcomes are retried, all holds expire, and what was
        taken is what was answered.
        """
        for hold in self.holds:
            for end in hold.asked if hold.answered is None else ():
                self._close(hold, end, [])
        for key in self.keys:
            self.debits_once(int(key[1:]), [])
        self.clock.advance(hours=1)
        self.sweeps([])
        laws.check(self.store.memory)
        balance = self.stored()
        captured = sum(hold.answered[1] for hold in self.holds if hold.answered)
        least = (
            self.taken + captured + sum(7 * int(key[1:]) for key, ids in self.keys.items() if ids)
        )
        assert least <= balance.used <= least + self.unsure
        assert (balance.held, balance.total) == (0, 100 * self.bought)


@many(RUNS)
@given(steps(STEPS), without(*SOME))
def test_histories_of_spending_with_any_fault_at_any_call_take_what_was_answered(
    numbers: bytes, barred: frozenset[str]
) -> None:
    """The seed of a failing one is printed by hypothesis, and what happened in it."""
    live(Spending(), numbers, barred)
