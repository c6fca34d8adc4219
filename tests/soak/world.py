"""One history: the shop of tests/properties, with a fault possible at every call that a handler
makes. The same for the same seed.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from unittest.mock import patch

from billing.errors import BillingError, RetryableError
from billing.holds import closing, placing
from billing.quota.balance import Balance
from billing.spending import debits
from properties.test_histories import YES_NO, Shop
from soak.store import RATES, SoakStore
from support import builders
from support.histories import Draw
from support.schedules import FAULTS, Crash

STEPS: Final = 40
TOLD_MAX: Final = 8
ON_THE_WIRE: Final = ("overtaken", "duplicate", "reordered", "dropped until the end")


def faults_in(counts: Counter[str]) -> dict[str, int]:
    """By kind."""
    kinds = {
        kind: sum(count for name, count in counts.items() if name.startswith(f"{kind} at "))
        for kind in FAULTS
    }
    return {**kinds, **{name: counts[name] for name in ON_THE_WIRE}}


class Soaked(Shop):
    """A shop whose handlers die, are throttled, conflict, and lose their answers, at any of their
    calls.
    """

    store_type = SoakStore
    store: SoakStore  # type: ignore[assignment] # of the same calls

    def __init__(self, policy: str, chance: Random) -> None:
        """On empty books, calm."""
        super().__init__(policy, is_told_first=chance.choice(YES_NO))
        self.chance, self.store.rate = chance, chance.choice(RATES)
        self.figures, self.told, self.taken = Counter[str](), list[Any](), set[str]()
        self.is_over = False
        self.store.meanwhile = self.is_interrupted

    @contextmanager
    def calm(self) -> Iterator[None]:
        """The world looks on, or does its own part."""
        with self.store.faults(None):
            yield

    def play(self, act: Callable[[], object]) -> str:
        """One running handler. It ends as ``done``, ``refused`` or unknown."""
        with self.store.faults(None if self.is_over else self.chance):
            try:
                act()
            except BillingError:
                return "refused"
            except (RetryableError, Crash):
                return "unknown"
        return "done"

    def has(self, plan: str) -> None:
        """Checkout has schedules of its own."""
        with self.calm():
            super().has(plan)

    def balance(self) -> Balance:
        """As it is written."""
        with self.calm():
            return super().balance()

    def settle(self, event: dict[str, Any]) -> None:
        """Count what the wire did to it, and deliver it."""
        self.figures["deliveries"] += 1
        self.figures["duplicate"] += event["id"] in {one["id"] for one in self.told}
        self.figures["reordered"] += any(one["created"] > event["created"] for one in self.told)
        self.figures["dropped until the end"] += self.is_over and event not in self.told
        self.told.append(event)
        self.play(lambda: super(Soaked, self).settle(event))

    def is_told(self, draw: Draw) -> None:
        """Any event, old or new, once more."""
        self.settle(draw.one_of([event for one in self.bought for event in one.told]))

    def are_told(self, draw: Draw) -> None:
        """Some events in any order, some of them twice."""
        events = [event for one in self.bought for event in one.told] * 2
        for event in draw.sample(events, draw.upto(min(len(events), TOLD_MAX), 1)):
            self.settle(event)

    def is_interrupted(self) -> None:
        """In the midst of another handler an event comes, if there is one."""
        if events := [event for one in self.bought for event in one.told]:
            self.settle(self.chance.choice(events))

    def is_reconciled(self, draw: Draw) -> None:
        """A run that ends anywhere."""
        pages, rows, is_killed = draw.upto(12, 1), draw.upto(12, 1), draw.one_of(YES_NO)
        self.play(lambda: self.reconciles(pages, rows, is_killed=is_killed))

    def recovers(self, _: Draw) -> None:
        """A run that may die."""
        self.play(self.retries)

    def spends(self, draw: Draw) -> None:
        """Once if it was answered, at most once if it was not, and under a key once for ever."""
        units, key = draw.upto(120, 1), draw.one_of(("", "a", "b"))
        name, used = f"{key}{units}", self.balance().used

        def debit() -> object:
            return (
                debits.debit_once(self.meter, "alice", units, "backend", name)
                if key
                else debits.debit(self.meter, "alice", units)
            )

        ended = self.play(debit)
        taken = self.balance().used - used
        can = {"done": {units}, "refused": {0}}.get(ended, {0, units})
        assert taken in ({0} if name in self.taken else can), (
            f"a debit of {units} ({ended}) took {taken}"
        )
        if key and taken:
            self.taken.add(name)

    def holds_back(self, draw: Draw) -> None:
        """A hold whose answer is lost cannot be closed, so it expires."""
        units = draw.upto(120, 1)
        self.play(lambda: self.holds.append(placing.place(self.meter, "alice", units, 60).hold_id))

    def closes_a_hold(self, draw: Draw) -> None:
        """Any, as often as one likes."""
        hold, units, is_release = draw.one_of(self.holds), draw.upto(130, 1), draw.one_of(YES_NO)
        used = self.balance().used
        self.play(
            lambda: (
                closing.release(self.meter, hold)
                if is_release
                else closing.capture(self.meter, hold, units)
            )
        )
        taken = self.balance().used - used
        assert taken in (0, 0 if is_release else units), f"a capture of {units} took {taken}"
        self.captured += taken

    def end(self) -> None:
        """Calm at last, and the model judges."""
        self.is_over = True
        super().end()
        self.figures += Counter(right=1, units=self.balance().total)


@dataclass(frozen=True)
class History:
    """One by its seed and number."""

    seed: str
    number: int

    def play(self, note: Callable[[str], object] = lambda _: None) -> Counter[str]:
        """Play it. Returns its figures; raises what went wrong."""
        chance, numbers = Random(f"{self.seed}:{self.number}"), itertools.count(1)
        builders.renumber()
        with patch("secrets.token_hex", lambda size: f"{next(numbers):0{2 * size}x}"):
            shop = Soaked(chance.choice(("debt", "write_off")), chance)
            for _ in range(STEPS):
                self._step(shop, note)
            note("the end: all is delivered, retried, and reconciled")
            shop.end()
        return (
            shop.figures
            + shop.store.struck
            + Counter(histories=1, purchases=len(shop.bought), steps=STEPS)
        )

    @staticmethod
    def _step(shop: Soaked, note: Callable[[str], object]) -> None:
        acts = list(shop.acts())
        draw = Draw(shop.chance.getrandbits(64))
        act = draw.choice(acts)
        try:
            act(draw)
            shop.check()
        finally:
            note(f"{act.__name__}({', '.join(map(repr, draw.given))})")
