"""A store in which something happens just before, or just behind, a chosen transaction."""

from collections.abc import Callable
from typing import Any

from billing.storage.reader import Page
from billing.storage.writes import Write
from support.fakes.memory_store import MemoryStore

Act = Callable[[], object]


class Scripted(MemoryStore):
    """Something happens just before some of the next commits: one entry for each, or None.

    ``after`` happens once, behind the next commit; ``after_query`` behind the next query.
    """

    def __init__(self) -> None:
        """Nothing happens yet."""
        super().__init__()
        self.before: list[Act | None] = []
        self.after: Act | None = None
        self.after_query: Act | None = None

    def commit(self, *writes: Write) -> None:
        """See MemoryStore."""
        if self.before and (act := self.before.pop(0)):
            kept, self.before = self.before, []
            try:
                act()
            finally:
                self.before = kept
        super().commit(*writes)
        after, self.after = self.after, None
        if after:
            after()

    def query(self, *place: Any, **how: Any) -> Page:
        """See MemoryStore."""
        page = super().query(*place, **how)
        after, self.after_query = self.after_query, None
        if after:
            after()
        return page


def raises(error: Exception) -> Act:
    """Return an act that fails: the transaction is not carried out."""

    def act() -> None:
        raise error

    return act
