"""Every interleaving of those who place holds and those who give expired ones back, and what
becomes of each hold when its time is over.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest
from billing.errors import BillingError
from billing.expiry import hold_expiry
from billing.holds import placing
from billing.quota.balance import Balance
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from support import builders, laws
from support.builders import Still, fact, pending
from support.schedules import FAULTS, Handlers, ScheduledStore, explore, fresh_books

Record = Callable[[str, dict[str, int]], None]
BOUGHT: Final = 100
UNITS: Final = 30
OLD_SECONDS: Final = 60
SHORT_SECONDS: Final = 120
LONG_SECONDS: Final = 600
PLACES: Final = {"a short hold": SHORT_SECONDS, "a long hold": LONG_SECONDS}
TAKES: Final = {"a debit": 1, "a keyed debit": 2}
NO_HOLD: Final = [("a short hold", "a long hold"), ("a long hold", "a long hold")]
OPEN: Final = [
    ("a short hold", "a long hold"),
    ("a long hold", "a sweep ahead of time"),
    ("a short hold", "a sweep ahead of time"),
]
EXPIRED: Final = [
    ("a short hold", "a long hold"),
    ("a long hold", "a sweep"),
    ("a short hold", "a sweep"),
    ("a long hold", "a debit"),
    ("a long hold", "a keyed debit"),
]


class Scene:
    """Alice has bought 100 units.

    There is no hold, an old one of a minute that is open, or the same after its minute.
    """

    def __init__(self, store: ScheduledStore, old: str) -> None:
        """Before anything happens at the same time."""
        self.store, self.books = store, fresh_books(store)
        self.clock: Still = self.books.clock  # type: ignore[assignment]
        self.meter = Meter(self.books, "")
        self.has_old = old != "none"
        store.before(self._begun)
        if old == "expired":
            self.passes(OLD_SECONDS + 1)

    def _begun(self) -> None:
        settlement.apply(
            self.books,
            fact(builders.completed(pending(self.books, payment_id="pay_1", session_id="cs_1"))),
        )
        if self.has_old:
            placing.place(self.meter, "alice", UNITS, OLD_SECONDS)

    def passes(self, seconds: int) -> None:
        """Time, for everybody."""
        self.clock.now += timedelta(seconds=seconds)

    def does(self, name: str) -> str:
        """Whether it was done or refused."""
        acts: dict[str, Callable[[], Any]] = {
            "a short hold": lambda: placing.place(self.meter, "alice", UNITS, SHORT_SECONDS),
            "a long hold": lambda: placing.place(self.meter, "alice", UNITS, LONG_SECONDS),
            "a debit": lambda: debits.debit(self.meter, "alice", TAKES["a debit"]),
            "a keyed debit": lambda: debits.debit_once(
                self.meter, "alice", TAKES["a keyed debit"], "backend", "k"
            ),
            "a sweep": self.sweeps,
            "a sweep ahead of time": self.sweeps_ahead,
        }
        try:
            acts[name]()
        except BillingError as refused:
            if refused.code != "quota_exhausted":
                raise
            return "refused"
        return "done"

    def sweeps(self) -> None:
        """By the common clock."""
        hold_expiry.give_back_expired(self.books, "alice", self.stored())

    def sweeps_ahead(self) -> None:
        """By a function whose clock is fast: for it, the old hold's minute is over."""
        fast = Still()
        fast.now = self.clock.now + timedelta(seconds=OLD_SECONDS + 1)
        hold_expiry.give_back_expired(
            builders.books_on(self.store, clock=fast), "alice", self.stored()
        )

    def stored(self) -> Balance:
        """As it is written."""
        return Balance.from_item(self.store.get("quotas", ("alice", "quota")))

    def read_held(self) -> int:
        """As anybody is shown it."""
        return debits.read(self.books, "alice").held


def _all(names: tuple[str, ...], old: str) -> Callable[[ScheduledStore], Handlers]:
    def build(store: ScheduledStore) -> Handlers:
        scene, said = Scene(store, old), [""] * len(names)

        def act(number: int) -> None:
            said[number] = scene.does(names[number])

        def check(ends: list[str]) -> None:
            del ends
            laws.check(store.memory)
            scene.passes(SHORT_SECONDS)  # the old hold and the short ones are over
            assert scene.read_held() in _possible(names, said), (names, said)
            scene.passes(LONG_SECONDS)
            assert scene.read_held() == 0
            scene.sweeps()
            balance = scene.stored()
            assert (balance.held, balance.remaining) == (0, BOUGHT - balance.used), (
                "units are held for ever"
            )
            assert scene.does("a debit") == "done"
            laws.check(store.memory)

        return [lambda number=number: act(number) for number in range(len(names))], check

    return build


def _possible(names: tuple[str, ...], said: list[str]) -> set[int]:
    """What may be held when the short holds are over: the long ones that were placed, and those of
    which nobody knows.
    """
    possible = {0}
    for name, word in zip(names, said, strict=True):
        if name == "a long hold" and word != "refused":
            placed = {held + UNITS for held in possible}
            possible = placed if word == "done" else possible | placed
    return possible


@pytest.mark.parametrize(
    ("names", "old"),
    [
        *((names, "none") for names in NO_HOLD),
        *((names, "open") for names in OPEN),
        *((names, "expired") for names in EXPIRED),
    ],
)
def test_every_hold_comes_back_when_its_time_is_over(
    names: tuple[str, ...], old: str, record_figures: Record
) -> None:
    """A concurrent release of other holds does not forget it, and it is not kept until a later one
    is due.
    """
    record_figures(f"{' and '.join(names)}, old hold: {old}", explore(_all(names, old), FAULTS))


def test_two_holds_and_a_sweep_after_an_expiry_forget_no_hold(record_figures: Record) -> None:
    names = ("a short hold", "a long hold", "a sweep")
    record_figures(f"{', '.join(names)}, old hold: expired", explore(_all(names, "expired"), ()))
