"""Defines Books: what each function that reads or writes our tables needs."""

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
        """Put the event into the queue. After this returns, it is not lost.

        Raises OutcomeUnknownError or AwsRefusedError if the queue may not have
        it.
        """


class NoOutbox:
    """An outbox that does nothing, for events that are already stored.

    Retries, reconciliation and an operator's replay use it.
    """

    def keep(self, fact: "Fact") -> None:
        """Do nothing, because the event is already stored elsewhere."""


class Opened(NamedTuple):
    """What to add to a write that takes an account below ``when_below``.

    That is the customer's threshold for automatic top-ups. ``writes`` open an
    automatic charge, and ``notices`` are the events that it causes.
    """

    writes: tuple[Write, ...] = ()
    notices: "tuple[Notice, ...]" = ()


NOTHING_OPENED: Final = Opened()


class TopUps(Protocol):
    """Automatic top-ups, for the functions that take units."""

    @property
    def is_on(self) -> bool:
        """Return whether this deployment offers automatic top-ups."""

    def open(self, store: Store, user_id: str, now: datetime) -> Opened:
        """Return the writes that open an automatic charge.

        There are none if the customer's agreement to automatic top-ups does
        not allow a charge now. DynamoDB refuses them if the agreement has
        changed since it was read.
        """

    def hurry(self, user_id: str) -> None:
        """Ask for the charge now. Raises nothing.

        If that fails, a sweep finds the charge within a minute.
        """


class NoTopUps:
    """Automatic top-ups of a deployment that does not offer them."""

    is_on = False

    def open(self, store: Store, user_id: str, now: datetime) -> Opened:
        """Return NOTHING_OPENED: no writes and no events."""
        del store, user_id, now
        return NOTHING_OPENED

    def hurry(self, user_id: str) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Books:
    """The store, the clock and the settings for work on our tables.

    ``policy`` says what happens to units that were used before they were
    clawed back. ``telling`` says whether events are sent to the seller.
    ``top_ups`` opens automatic charges.
    """

    store: Store
    clock: Clock
    ours: Ours
    policy: ReversalPolicy
    outbox: Outbox
    telling: Telling = Telling()  # noqa: RUF009 - frozen
    top_ups: TopUps = NoTopUps()  # noqa: RUF009 - it has no state
