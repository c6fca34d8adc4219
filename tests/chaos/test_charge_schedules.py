"""Every interleaving of what may happen to one automatic charge at the same time, with every fault
at every call of DynamoDB's and of Stripe's.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import pytest
from billing.errors import BillingError, ConditionFailedError
from billing.stripe_api.outcomes import StripeServerError
from support.fakes.card_twin import CardTwin
from support.schedules import FAULTS, Crash, Handlers, ScheduledStore, explore, fresh_books
from support.top_ups import Story

_Answer = TypeVar("_Answer")
PAUSES = (1, 1, 7, 25, 25)
"""Hours, in which every retry falls due."""


class Stripe(CardTwin):
    """Each call is a point of the schedule; the faults are Stripe's own of the same kind."""

    def __init__(self, store: ScheduledStore, clock: Any) -> None:
        """``store`` keeps the schedule."""
        super().__init__(clock)
        self.store = store
        self.after = ""

    def charge_card(self, params: Mapping[str, Any], idempotency_key: str) -> Mapping[str, Any]:
        """See CardTwin."""
        return self._point(lambda: super(Stripe, self).charge_card(params, idempotency_key))

    def charge_card_again(
        self, intent: str, params: Mapping[str, Any], idempotency_key: str
    ) -> Mapping[str, Any]:
        """See CardTwin."""
        return self._point(
            lambda: super(Stripe, self).charge_card_again(intent, params, idempotency_key)
        )

    def intents_of(self, customer: str, since: int) -> Iterator[Mapping[str, Any]]:
        """See CardTwin."""
        yield from self._point(lambda: list(super(Stripe, self).intents_of(customer, since)))

    def intent(self, intent: str) -> Mapping[str, Any]:
        """See CardTwin."""
        return self._point(lambda: super(Stripe, self).intent(intent))

    def _point(self, act: Callable[[], _Answer]) -> _Answer:
        fault = self.store.meet_fault()
        self.store.remember(fault)
        if fault == "crash_before":
            raise Crash
        if fault == "throttle":
            raise StripeServerError("503")
        if fault == "conflict":
            raise BillingError("stripe_unavailable", "turned away until the time was up")
        try:
            answer = act()
        except Exception as error:  # what the handler gets is a part of the state, whatever it is
            self.store.remember(repr(error))
            raise
        self.store.remember(answer)
        if fault == "crash_after":
            raise Crash
        if fault == "lost":
            raise BillingError("stripe_unavailable", "the answer was lost")
        return answer


def _switch_off(story: Story) -> None:
    """DELETE: it decides again where the agreement has changed meanwhile."""
    for _ in story.books.store.deadline.attempts():
        try:
            story.switch_off()
        except ConditionFailedError:
            continue
        return


ACTS: Mapping[str, Callable[[Story], object]] = {
    "a run": lambda story: story.run_only(),
    "its events": lambda story: story.deliver(),
    "a reconciliation": lambda story: story.reconcile(),
    "a switch-off": _switch_off,
}
SHORT: Final = [
    ("a run", (), ()),
    ("a run", ("insufficient_funds",), ()),
    ("its events", (), ("crash_after", "lost")),
    ("its events", ("processing",), ("lost",)),
    ("a reconciliation", (), ("lost",)),
    ("a switch-off", (), ("crash_after", "lost")),
    ("a switch-off", ("insufficient_funds",), ("lost",)),
]
SCRIPTS: Final = ((), ("insufficient_funds",), ("processing",), ("authentication_required",))
WHOLE: Final = [(*one, (fault,)) for one in itertools.product(ACTS, SCRIPTS) for fault in FAULTS]
"""For ``make chaos``: every act, everything that Stripe may say at first, every fault."""


@pytest.mark.parametrize(
    ("beside", "script", "faults"), WHOLE if "TOPUP_CHAOS_SECONDS" in os.environ else SHORT
)
def test_a_charge_is_made_once_and_credited_once_whatever_goes_on_beside_it(
    beside: str,
    script: tuple[str, ...],
    faults: tuple[str, ...],
    record_figures: Callable[[str, dict[str, int]], None],
) -> None:
    """Who heard nothing looks again; at the end the books and Stripe agree."""

    def build(store: ScheduledStore) -> Handlers:
        books = fresh_books(store)
        story = Story(books, Stripe(store, books.clock))
        store.before(story.begin)
        story.stripe.script = list(script)

        def check(ends: list[str]) -> None:
            del ends
            story.check_charges()
            for hours in PAUSES:
                for payment in story.payments:
                    story.stripe.end(payment.payment_id, "succeeded")
                story.advance(hours=hours)
                story.run_only()
            story.deliver()
            story.reconcile()
            story.check()
            assert story.credited == len(story.stripe.succeeded) <= 1
            assert story.agreement.charge is None
            if beside != "a switch-off" and script != ("authentication_required",):
                assert story.credited == 1

        return [story.run_only, lambda: ACTS[beside](story)], check

    name = f"a charge beside {beside}, {*script, 'paid'}, {faults}"
    record_figures(name, explore(build, faults))
