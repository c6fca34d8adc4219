"""Defines Books: the store, clock and settings for work on our tables."""

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
    """Puts events from Stripe into a queue outside DynamoDB.

    An event stays there until our tables have its effect, or an operator
    drops it.
    """

    def keep(self, fact: "Fact") -> None:
        """Put a Stripe event that cannot be booked yet into the queue.

        After this returns, the event is not lost. Raises OutcomeUnknownError
        or AwsRefusedError if the queue may not have it.
        """


class NoOutbox:
    """Stands in for the queue of events from Stripe, and does nothing.

    Retries, reconciliation and an operator's replay use it, because their
    events are already stored elsewhere.
    """

    def keep(self, fact: "Fact") -> None:
        """Do nothing: the Stripe event ``fact`` is stored already."""


class Opened(NamedTuple):
    """Holds what opens an automatic charge: writes to our tables, and events.

    ``notices`` are the events to the seller that it causes. The write that
    takes an account below ``when_below``, the customer's threshold for
    automatic top-ups, puts both into its own transaction. Both may be empty.
    """

    writes: tuple[Write, ...] = ()
    notices: "tuple[Notice, ...]" = ()


NOTHING_OPENED: Final = Opened()


class TopUps(Protocol):
    """Opens automatic top-ups: charges to a customer's saved card.

    A debit or hold that takes an account below the customer's threshold adds
    the writes of ``open`` to its own. When they are made, it calls ``hurry``,
    so that the charge is sent to Stripe at once.
    """

    @property
    def is_on(self) -> bool:
        """Return whether this deployment offers automatic top-ups."""

    def open(self, store: Store, user_id: str, now: datetime) -> Opened:
        """Return the writes and events that open an automatic charge.

        They open none if the customer's agreement to automatic top-ups allows
        no charge now. DynamoDB refuses the writes if the agreement has changed
        since it was read.
        """

    def hurry(self, user_id: str) -> None:
        """Ask that the account's automatic charge be run now. Raises nothing.

        If that fails, the sweep of each minute finds the charge.
        """


class NoTopUps:
    """Opens no charges, for a deployment without automatic top-ups."""

    is_on = False

    def open(self, store: Store, user_id: str, now: datetime) -> Opened:
        """Return NOTHING_OPENED, because this deployment opens no charges.

        It has no writes and no events.
        """
        del store, user_id, now
        return NOTHING_OPENED

    def hurry(self, user_id: str) -> None:
        """Do nothing, because there is no automatic charge to ask for."""


@dataclass(frozen=True, slots=True)
class Books:
    """Holds the store, the clock and the settings for work on our tables.

    ``ours`` shows which of Stripe's events are ours. If a refund takes back
    units that were used, ``policy`` says whether they become debt or are
    written off. The ``outbox`` keeps events that cannot be booked yet.
    ``telling`` says whether the seller is sent events. ``top_ups`` opens
    automatic charges.
    """

    store: Store
    clock: Clock
    ours: Ours
    policy: ReversalPolicy
    outbox: Outbox
    telling: Telling = Telling()  # noqa: RUF009 - frozen
    top_ups: TopUps = NoTopUps()  # noqa: RUF009 - it has no state
