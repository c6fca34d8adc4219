"""The product's own store and retry loop on the proven twin, where any call may meet any fault."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, Final

from billing.deadline import Deadline
from billing.errors import Item
from billing.storage.reader import Page
from billing.storage.writes import Table, Write
from support.fakes.memory_store import MemoryStore
from support.schedules import FAULTS, ScheduledStore, Twin

RATES: Final = (0.02, 0.1, 0.3)
"""How many of a history's calls meet a fault."""
OVERTAKEN_LESS: Final = 3
"""Another handler comes in between so much less often: each is as much work as the one it
overtakes."""
CALLS_TOLD: Final = 4
"""Calls of one handler are counted one by one up to this number; later ones are counted with it."""


class _Memory(Twin):
    """The twin without the sum that schedules compare states by: it would be most of the work."""

    def _carry_out(self, write: Write) -> None:
        MemoryStore._carry_out(self, write)


class SoakStore(ScheduledStore):
    """Strikes by chance. Calm until ``chance`` is set, and while no handler runs."""

    chance: Random | None = None
    rate = 0.0
    meanwhile: Callable[[], object] | None = None
    """What may come between two calls of a handler: another one, from its first call to its last.
    """

    def __init__(self) -> None:
        """Empty."""
        super().__init__()
        self.memory = _Memory()
        self.deadline = Deadline(clock=lambda: 0.0, sleep=lambda _: None)
        self.struck = Counter[str]()
        self.calls = 0

    @property
    def tables(self) -> dict[str, dict[tuple[str, str], Item]]:
        """Everything in it, for the laws."""
        return self.memory.tables

    @contextmanager
    def faults(self, chance: Random | None) -> Iterator[None]:
        """A handler runs and meets faults, or, with None, a check looks
        on and meets none.
        """
        before, calls = self.chance, self.calls
        self.chance, self.calls = chance, 0
        try:
            yield
        finally:
            self.chance, self.calls = before, calls

    def meet_fault(self) -> str:
        """What strikes this call, if anything does."""
        if self.chance is None:
            return ""
        self.calls += 1
        if self.meanwhile and self.chance.random() < self.rate / OVERTAKEN_LESS:
            self._let_another_go_first(self.meanwhile)
        if self.chance.random() >= self.rate:
            return ""
        fault = self.chance.choice(FAULTS)
        self.struck[f"{fault} at call {min(self.calls, CALLS_TOLD)}"] += 1
        return fault

    def _let_another_go_first(self, meanwhile: Callable[[], object]) -> None:
        """It is not overtaken itself: two at a time."""
        self.struck["overtaken"] += 1
        self.meanwhile = None
        meanwhile()
        self.meanwhile = meanwhile

    def remember(self, told: object) -> None:
        """Orders are not compared here."""

    def due(self, now_epoch: int, after: Item | None = None, mark: str = "open") -> Page:
        """See Store."""
        found: Page = self._do("Query", lambda: self.memory.due(now_epoch, after, mark))
        return found

    def unseen(self, since: str, after: Item | None = None) -> Page:
        """See Store."""
        found: Page = self._do("Query", lambda: self.memory.unseen(since, after))
        return found

    def pages(self, table: Table, owner: str, prefix: str = "") -> Iterator[Item]:
        """All at once."""
        page: Any = self.query(table, owner, prefix=prefix, limit=10**9)
        yield from page.items
