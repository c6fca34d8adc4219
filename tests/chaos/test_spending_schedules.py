"""Every interleaving of two who spend from one account, or look after it, with every fault at every
outside call.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest
from billing.errors import BillingError
from billing.expiry import hold_expiry
from billing.holds import closing, placing
from billing.payments.payment import Payment
from billing.quota.balance import Balance
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from support import builders, laws
from support.builders import fact, pending
from support.schedules import Handlers, ScheduledStore, explore, fresh_books

Record = Callable[[str, dict[str, int]], None]
BOUGHT: Final = 100
USED: Final = 10
HELD: Final = 40
TAKES: Final = {
    "a debit": (70, 0),
    "a keyed debit": (70, 0),
    "a hold": (0, 70),
    "a capture": (25, -HELD),
    "a release": (0, -HELD),
}
"""Used for good and held, by each that succeeds.

Only one of those who want 70 gets it, and none while 40 are held.
"""
REPEATED: Final = ("a keyed debit", "a capture", "a release", "a sweep", "a refund", "a read")
"""What is asked for again after a crash or a lost answer: it must be done once."""
OPEN: Final = [
    ("a hold", "a capture"),
    ("a hold", "a release"),
    ("a debit", "a release"),
    ("a keyed debit", "a capture"),
    ("a keyed debit", "a release"),
    ("a capture", "a release"),
    ("a hold", "a refund"),
    ("a keyed debit", "a refund"),
]
EXPIRED: Final = [
    ("a debit", "a debit"),
    ("a debit", "a keyed debit"),
    ("a debit", "a hold"),
    ("a debit", "a sweep"),
    ("a debit", "a refund"),
    ("a keyed debit", "a keyed debit"),
    ("a keyed debit", "a sweep"),
    ("a hold", "a hold"),
    ("a hold", "a sweep"),
    ("a hold", "a refund"),
    ("a capture", "a debit"),
    ("a release", "a sweep"),
    ("a read", "a sweep"),
    ("a read", "a debit"),
]


class Scene:
    """Alice has bought 100 units, used 10 and 40 are held; their time may be over."""

    def __init__(self, store: ScheduledStore, *, is_expired: bool) -> None:
        """Before anything happens at the same time."""
        self.store = store
        self.books = fresh_books(store)
        self.meter = Meter(self.books, "")
        self.is_expired = is_expired
        payment, self.held = store.before(self._begun)
        self.refund = builders.refunded(payment, 300)
        if is_expired:
            self.books.clock.now += timedelta(seconds=61)  # type: ignore[attr-defined]

    def _begun(self) -> tuple[Payment, str]:
        payment = pending(self.books, payment_id="pay_1", session_id="cs_1")
        settlement.apply(self.books, fact(builders.completed(payment)))
        debits.debit(self.meter, "alice", USED)
        return payment, placing.place(self.meter, "alice", HELD, 60).hold_id

    def does(self, name: str) -> str:
        """Whether it was done or refused."""
        acts: dict[str, Callable[[], Any]] = {
            "a debit": lambda: debits.debit(self.meter, "alice", 70),
            "a keyed debit": lambda: debits.debit_once(self.meter, "alice", 70, "backend", "k"),
            "a hold": lambda: placing.place(self.meter, "alice", 70, 600),
            "a capture": lambda: closing.capture(self.meter, self.held, 25),
            "a release": lambda: closing.release(self.meter, self.held),
            "a sweep": lambda: hold_expiry.give_back_expired(self.books, "alice", self.stored()),
            "a refund": lambda: settlement.apply(self.books, fact(self.refund)),
            "a read": self.read,
        }
        try:
            acts[name]()
        except BillingError as refused:
            if refused.code not in ("quota_exhausted", "hold_closed"):
                raise
            return "refused"
        return "done"

    def stored(self) -> Balance:
        """As it is written."""
        return Balance.from_item(self.store.get("quotas", ("alice", "quota")))

    def read(self) -> Balance:
        """What anybody is shown is never less than nothing, and nothing is held past its time."""
        balance = debits.read(self.books, "alice")
        assert min(balance.remaining, balance.used, balance.held, balance.debt) >= 0
        if self.is_expired:
            assert balance.held in (0, 70), balance
        assert balance.total - balance.used == balance.remaining + balance.held - balance.debt
        return balance


def _both(first: str, second: str, *, is_expired: bool) -> Callable[[ScheduledStore], Handlers]:
    def build(store: ScheduledStore) -> Handlers:
        scene, said = Scene(store, is_expired=is_expired), ["", ""]

        def act(number: int, name: str) -> None:
            said[number] = scene.does(name)

        def check(ends: list[str]) -> None:
            possible = {(USED, 0 if is_expired else HELD)}
            for number, name in enumerate((first, second)):
                if ends[number] != "done" and name in REPEATED:
                    act(number, name)
                taken = {
                    (used + TAKES.get(name, (0, 0))[0], held + TAKES.get(name, (0, 0))[1])
                    for used, held in possible
                }
                possible = (
                    taken
                    if said[number] == "done"
                    else possible | (set() if said[number] else taken)
                )
            if first == second == "a keyed debit":
                possible = {(USED + 70, 0)}
            scene.does("a sweep")
            laws.check(store.memory)
            balance = scene.read()
            assert (balance.used, balance.held) in possible, (ends, said)

        return [lambda: act(0, first), lambda: act(1, second)], check

    return build


@pytest.mark.parametrize(("first", "second"), OPEN)
def test_two_concurrent_requests_on_an_account_with_a_hold_take_what_they_were_answered(
    first: str, second: str, record_figures: Record
) -> None:
    """What was answered is what was taken; what nobody knows of was taken once or not at all."""
    record_figures(f"{first} and {second}", explore(_both(first, second, is_expired=False)))


@pytest.mark.parametrize(("first", "second"), EXPIRED)
def test_two_concurrent_requests_after_an_expiry_release_once_and_take_what_they_were_answered(
    first: str, second: str, record_figures: Record
) -> None:
    """The hold comes back exactly once, with the first request, and is never
    captured or released.
    """
    record_figures(
        f"{first} and {second} after an expiry", explore(_both(first, second, is_expired=True))
    )
