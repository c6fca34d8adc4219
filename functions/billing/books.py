"""Bundles what every function that works on the books needs: the store, the clock and settings."""

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
    """A queue outside DynamoDB that keeps an event until it is settled."""

    def keep(self, fact: "Fact") -> None:
        """Keep the event in the queue. It is safe there once this returns.

        Raises OutcomeUnknownError or AwsRefusedError when it may not be safe.
        """


class NoOutbox:
    """An outbox that does nothing, for work on events that are stored already.

    Retries, reconciliation and an operator's replay use it.
    """

    def keep(self, fact: "Fact") -> None:
        """Do nothing, because the event is safe where it came from."""


@dataclass(frozen=True, slots=True)
class Books:
    """The store, the clock and the settings that every act on the books receives.

    ``policy``: what becomes of units that were used before they were clawed back. ``telling``:
    whether effects tell events.
    """

    store: Store
    clock: Clock
    ours: Ours
    policy: ReversalPolicy
    outbox: Outbox
    telling: Telling = Telling()  # noqa: RUF009 - frozen
