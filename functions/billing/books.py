"""Bundles what every function that works on the books needs: the store, the clock and settings."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from billing.clock import Clock
from billing.settings import Ours, ReversalPolicy, Telling
from billing.storage.dynamodb import Store
from billing.storage.writes import Write

if (
    TYPE_CHECKING
):  # a function that only reads or spends must not pay for importing facts
    from billing.facts import Fact
    from billing.notices.notice import Notice


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


class Opened(NamedTuple):
    """What the write that takes an account below ``when_below`` must carry, and tell."""

    writes: tuple[Write, ...] = ()
    notices: "tuple[Notice, ...]" = ()


NOTHING_OPENED: Final = Opened()


class TopUps(Protocol):
    """Automatic top-ups, as the writes that take units see them."""

    @property
    def is_on(self) -> bool:
        """Whether this deployment offers them."""

    def open(self, store: Store, user_id: str, now: datetime) -> Opened:
        """Return the rows that open a charge, if the customer's agreement allows one now.

        They are refused if the agreement has changed since it was read here.
        """

    def hurry(self, user_id: str) -> None:
        """Ask for the charge at once. Never raises: a sweep finds every charge in a minute."""


class NoTopUps:
    """Automatic top-ups of a deployment that does not offer them."""

    is_on = False

    def open(self, store: Store, user_id: str, now: datetime) -> Opened:
        """Return nothing."""
        del store, user_id, now
        return NOTHING_OPENED

    def hurry(self, user_id: str) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Books:
    """The store, the clock and the settings that every act on the books receives.

    ``policy``: what becomes of units that were used before they were clawed back. ``telling``:
    whether effects tell events. ``top_ups``: opens automatic charges.
    """

    store: Store
    clock: Clock
    ours: Ours
    policy: ReversalPolicy
    outbox: Outbox
    telling: Telling = Telling()  # noqa: RUF009 - frozen
    top_ups: TopUps = NoTopUps()  # noqa: RUF009 - it has no state
