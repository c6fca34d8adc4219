"""An outbox that remembers what it keeps."""

from billing.facts import Fact


class Kept:
    """In place of the queue."""

    def __init__(self) -> None:
        """Empty."""
        self.facts: list[Fact] = []

    def keep(self, fact: Fact) -> None:
        """Remember."""
        self.facts.append(fact)
