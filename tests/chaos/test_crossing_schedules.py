"""Every interleaving of two writes that cross an account's thresholds, with every fault at every
outside call. Each write that is carried out is judged: it tells and opens what it crosses, once.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest
from billing.account import alert
from billing.charging.asking import Asker
from billing.errors import BillingError, ConditionFailedError
from billing.expiry import hold_expiry
from billing.holds import closing, placing
from billing.quota.balance import read_account
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.top_up import runner
from billing.top_up.job import Job
from support import builders, crossings, laws
from support.builders import Still, fact, pending
from support.crossings import LOW_AT, USER, WHEN_BELOW, Charges, JudgedStore, crossing_books
from support.fakes.card_twin import CardTwin
from support.schedules import Handlers, ScheduledStore, _number_from, explore

Record = Callable[[str, dict[str, int]], None]
USED: Final = 10
HELD: Final = 40
OPEN: Final = [
    ("a debit", "a debit"),
    ("a debit", "a debit of all"),
    ("a debit", "a keyed debit"),
    ("a debit", "a hold"),
    ("a debit", "a release"),
    ("a debit", "a purchase"),
    ("a debit", "a refund"),
    ("a debit", "an alert"),
    ("a debit", "an agreement"),
    ("a keyed debit", "a hold"),
    ("a keyed debit", "a purchase"),
    ("a keyed debit", "a refund"),
    ("a hold", "a hold"),
    ("a hold", "an agreement"),
    ("a refund", "an agreement"),
    ("a debit", "a run"),
    ("a keyed debit", "a run"),
    ("a refund", "a run"),
    ("an agreement", "a run"),
    ("a release", "a hold"),
]
EXPIRED: Final = [
    ("a debit of all", "a sweep"),
    ("a debit of all", "a keyed debit"),
    ("a hold", "a debit of all"),
]


class Scene:
    """Alice has bought 100 units, used 10 and 40 are held: 50 remain, above both thresholds."""

    def __init__(self, store: ScheduledStore, *, is_expired: bool) -> None:
        """Before anything happens at the same time."""
        self.store, self.charges = store, Charges()
        self.books = crossing_books(store, Still(), charges=self.charges)
        _number_from(1)
        self.meter = Meter(self.books, "")
        self.payment, self.next, self.held = store.before(self._begun)
        if is_expired:
            self.books.clock.now += timedelta(seconds=61)  # type: ignore[attr-defined]

    def _begun(self) -> tuple[Any, Any, str]:
        payment = pending(self.books, payment_id="pay_1", session_id="cs_1")
        more = pending(self.books, payment_id="pay_2", session_id="cs_2")
        settlement.apply(self.books, fact(builders.completed(payment)))
        crossings.agree(self.books)
        debits.debit(self.meter, USER, USED)
        return payment, more, placing.place(self.meter, USER, HELD, 60).hold_id

    def does(self, name: str) -> None:
        """Do it, or be refused."""
        acts: dict[str, Callable[[], Any]] = {
            "a debit": lambda: debits.debit(self.meter, USER, 21),
            "a debit of all": lambda: debits.debit(self.meter, USER, 50),
            "a keyed debit": lambda: debits.debit_once(self.meter, USER, 21, "backend", "k"),
            "a hold": lambda: placing.place(self.meter, USER, 21, 600),
            "a release": lambda: closing.release(self.meter, self.held),
            "a purchase": lambda: self.settle(builders.completed(self.next)),
            "a refund": lambda: self.settle(builders.refunded(self.payment, 400)),
            "an alert": lambda: alert.change(self.books, USER, LOW_AT - 10),
            "an agreement": self.agree,
            "a run": self.run,
            "a sweep": lambda: hold_expiry.give_back_expired(
                self.books, USER, read_account(self.store, USER)
            ),
        }
        try:
            acts[name]()
        except BillingError as refused:
            if refused.code not in ("quota_exhausted", "hold_closed"):
                raise

    def settle(self, event: dict[str, Any]) -> None:
        """One of Stripe's."""
        settlement.apply(self.books, fact(event))

    def run(self) -> None:
        """The sweep looks at the agreement, and charges the card where that is due."""
        self.store.deadline.begin()
        asker = Asker(CardTwin(self.books.clock), self.books.ours, builders.STACK)
        runner.run(Job(self.books, asker), USER)

    def agree(self) -> None:
        """Agreed to again, with another threshold, until it is written."""
        while True:
            try:
                crossings.agree(self.books, when_below=WHEN_BELOW + 5)
            except ConditionFailedError:
                continue
            return


def _both(first: str, second: str, *, is_expired: bool) -> Callable[[ScheduledStore], Handlers]:
    def build(store: ScheduledStore) -> Handlers:
        scene = Scene(store, is_expired=is_expired)

        def check(ends: list[str]) -> None:
            for name, end in zip((first, second), ends, strict=True):
                if end != "done":
                    scene.does(name)  # asked for again, as its caller does
            scene.does("a debit")  # and the account goes on
            laws.check(store.memory)
            crossings.check_charges(store.memory)

        return [lambda: scene.does(first), lambda: scene.does(second)], check

    return build


@pytest.mark.parametrize(("first", "second"), OPEN)
def test_two_concurrent_writes_tell_and_open_what_they_cross(
    first: str, second: str, record_figures: Record
) -> None:
    """No effect without its row, and no row without its effect."""
    build = _both(first, second, is_expired=False)
    record_figures(f"{first} and {second}", explore(build, store_of=JudgedStore))


@pytest.mark.parametrize(("first", "second"), EXPIRED)
def test_two_concurrent_writes_after_an_expiry_tell_and_open_what_they_cross(
    first: str, second: str, record_figures: Record
) -> None:
    """The hold comes back in the write of one of them, which is judged as a whole."""
    build = _both(first, second, is_expired=True)
    name = f"{first} and {second} after an expiry"
    record_figures(name, explore(build, store_of=JudgedStore))
