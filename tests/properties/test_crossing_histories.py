"""Random histories of an account around its thresholds, each call with any fault. Every write that
is carried out is judged: it tells and opens what it crosses, once.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from billing.account import alert
from billing.charging.asking import Asker
from billing.errors import ConditionFailedError, RetryableError
from billing.payments.payment import Payment
from billing.settlement import settlement
from billing.spending import memory
from billing.spending.meter import Meter
from billing.top_up import runner
from billing.top_up.job import Job
from hypothesis import given
from properties.test_spending_histories import SOME, Spending, faults
from support import builders, crossings, laws
from support.builders import Clock, fact, pending
from support.crossings import USER, Charges, JudgedStore, crossing_books
from support.fakes.card_twin import CardTwin
from support.histories import Act, Draw, live, many, steps, without

RUNS: Final = 300
STEPS: Final = 40
MORE: Final = ("alerts", "agrees", "refunds", "another_container", "runs")


class Rough(JudgedStore):
    """Its calls meet what they are to meet, and its writes are judged."""

    def __init__(self) -> None:
        """Nothing."""
        super().__init__()
        self.faults: list[str] = []

    def meet_fault(self) -> str:
        """The next one."""
        return self.faults.pop(0) if self.faults else ""


class Crossings(Spending):
    """A seller's backend, with events out and automatic top-ups."""

    def __init__(self) -> None:
        """Alice has bought once, and agreed."""
        self.store, self.clock = Rough(), Clock()  # type: ignore[assignment]
        self.books = crossing_books(self.store, self.clock, charges=Charges())
        self.meter, self.stripe = Meter(self.books, ""), CardTwin(self.clock)
        self.taken = self.unsure = self.bought = 0
        self.keys, self.holds = {}, []
        self.payments: list[tuple[Payment, int]] = []
        self.has([])
        crossings.agree(self.books)

    def acts(self) -> Iterator[Act]:
        """Whatever can happen now."""
        yield from super().acts()
        yield from (self.alerts, self.agrees, self.refunds, self.another_container, self.runs)

    def has(self, faults: list[str]) -> None:
        """A hundred units more."""
        self.bought += 1
        name = f"bought{self.bought}"
        payment = pending(self.books, payment_id=f"pay_{name}", session_id=f"cs_{name}")
        self.payments.append((payment, 0))
        self._settle(builders.completed(payment), faults)

    def _settle(self, event: dict[str, Any], faults: list[str]) -> None:
        try:
            self.asks(faults, lambda: settlement.apply(self.books, fact(event)))
        except RetryableError:
            settlement.apply(self.books, fact(event))

    def refunds(self, draw: Draw) -> None:
        """A part of a purchase, or the rest."""
        number = draw.upto(len(self.payments) - 1)
        payment, before = self.payments[number]
        after = min(payment.amount_minor, before + draw.upto(payment.amount_minor, 1))
        self.payments[number] = (payment, after)
        self._settle(builders.refunded(payment, after), faults(draw))

    def alerts(self, draw: Draw) -> None:
        """PUT /quota/alert."""
        low_at = draw.one_of((None, 0, 1, 20, 60, 150))
        self._try(faults(draw), lambda: alert.change(self.books, USER, low_at))

    def agrees(self, draw: Draw) -> None:
        """PUT /quota/auto-top-up, or a pause."""
        terms = {"when_below": draw.upto(80, 1), "paused": draw.one_of(("", "", "card_gone"))}
        self._try(faults(draw), lambda: crossings.agree(self.books, **terms))

    def runs(self, draw: Draw) -> None:
        """The sweep looks at the agreement, and charges the card where that is due."""
        asker = Asker(self.stripe, self.books.ours, builders.STACK)
        self._try(faults(draw), lambda: runner.run(Job(self.books, asker), USER))

    def another_container(self, _: Draw) -> None:
        """One that has not seen the account."""
        memory._seen.clear()

    def _try(self, faults: list[str], act: Callable[[], Any]) -> None:
        try:
            self.asks(faults, act)
        except (RetryableError, ConditionFailedError):
            return

    def check(self) -> None:
        """The laws, and that no crossing is lost."""
        super().check()
        crossings.check_charges(self.store.memory)

    def end(self) -> None:
        """Everything was judged already."""
        laws.check(self.store.memory)


@many(RUNS)
@given(steps(STEPS), without(*SOME, *MORE))
def test_histories_with_any_fault_at_any_call_tell_and_open_what_is_crossed(
    numbers: bytes, barred: frozenset[str]
) -> None:
    """No effect without its event, no event without its effect, no sequence with a gap."""
    live(Crossings(), numbers, barred)
