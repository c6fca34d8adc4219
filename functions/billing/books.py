"""What every act works on: the store, the clock, and the stack's own rules."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from billing.clock import Clock
from billing.settings import Ours, ReversalPolicy
from billing.storage.dynamodb import Store

if TYPE_CHECKING:  # who only reads or spends units has no use for facts
    from billing.facts import Fact


class Outbox(Protocol):
    """A place outside DynamoDB that keeps a fact until it is settled."""

    def keep(self, fact: "Fact") -> None:
        """Return when the fact is safe there.

        Raises OutcomeUnknownError or AwsRefusedError otherwise.
        """


class NoOutbox:
    """For those who work on a fact that is already kept: recovery, reconciliation, an operator."""

    def keep(self, fact: "Fact") -> None:
        """Do nothing: the fact is safe where it came from."""


@dataclass(frozen=True, slots=True)
class Books:
    """Handed to every act.

    ``policy``: what becomes of units that were used before they were clawed back.
    """

    store: Store
    clock: Clock
    ours: Ours
    policy: ReversalPolicy
    outbox: Outbox
