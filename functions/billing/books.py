"""Bundles what every act on the books needs: the store, the clock and the stack's settings."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from billing.clock import Clock
from billing.settings import Ours, ReversalPolicy, Telling
from billing.storage.dynamodb import Store

if (
    TYPE_CHECKING
):  # a function that only reads or spends must not pay for importing facts
    from billing.facts import Fact


class Outbox(Protocol):
    """A place outside DynamoDB that keeps a fact until it is settled."""

    def keep(self, fact: "Fact") -> None:
        """Return when the fact is safe there.

        Raises OutcomeUnknownError or AwsRefusedError otherwise.
        """


class NoOutbox:
    """For work on an event that is kept already: retries, reconciliation, an operator's replay."""

    def keep(self, fact: "Fact") -> None:
        """Do nothing: the fact is safe where it came from."""


@dataclass(frozen=True, slots=True)
class Books:
    """Passed to every act.

    ``policy``: what becomes of units that were used before they were clawed back. ``telling``:
    whether effects tell events.
    """

    store: Store
    clock: Clock
    ours: Ours
    policy: ReversalPolicy
    outbox: Outbox
    telling: Telling = Telling()  # noqa: RUF009 - frozen
