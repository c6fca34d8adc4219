"""A store that remembers the transactions that it was sent, and how it was queried."""

from typing import Any

from billing.storage.reader import Page
from billing.storage.writes import Write
from support.fakes.scripted_store import Scripted


class Recorder(Scripted):
    """``sent`` has refused transactions too; ``transactions`` were carried out."""

    def __init__(self) -> None:
        """Nothing was sent."""
        super().__init__()
        self.sent: list[tuple[Write, ...]] = []
        self.transactions: list[tuple[Write, ...]] = []
        self.cleared_up: list[bool] = []
        """Of single tries: whether they are repeated until it is known what became of them."""
        self.queries: list[dict[str, Any]] = []

    def commit(self, *writes: Write) -> None:
        """Remember it, and then carry it out."""
        self.sent.append(writes)
        super().commit(*writes)
        self.transactions.append(writes)

    def commit_once(self, *writes: Write, clears_up: bool) -> None:
        """See MemoryStore."""
        super().commit_once(*writes, clears_up=clears_up)
        self.cleared_up.append(clears_up)

    def query(self, *place: Any, **how: Any) -> Page:
        """Remember what is asked, and answer."""
        self.queries.append(how)
        return super().query(*place, **how)
