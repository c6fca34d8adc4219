"""Creates the objects that all requests of one process share.

Each is created when it is first used.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import Final

from billing.books import Books, NoOutbox, NoTopUps, TopUps
from billing.clock import utc_now
from billing.deadline import Deadline
from billing.deployment import StoredDeployment
from billing.settings import Ours, Settings
from billing.storage.dynamodb import Store

STARTS_WHOLE: Final = ("on-demand", "provisioned-concurrency")
"""The ways to start a process in which a client that is made before the first
request stays valid. A process that starts from a snapshot would have the
snapshot's credentials.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
"""


@cache
def settings() -> Settings:
    """Return the settings. The first call reads the environment."""
    return Settings.from_environment()


@cache
def deadline() -> Deadline:
    """Return the Deadline, which limits the time of the current request.

    All clients share this one object. They do not retry after it.
    """
    return Deadline()


@cache
def store() -> Store:
    """Return the client of DynamoDB."""
    return Store(settings().tables, deadline())


def connect() -> None:
    """Create the client of DynamoDB now, instead of at its first call."""
    store().connect()


@cache
def books() -> Books:
    """Return a Books: the client of our tables, the clock and the settings.

    Its outbox does nothing: it puts no event from Stripe into a queue.
    """
    ours = Ours(settings().livemode, StoredDeployment(store()))
    policy, telling = settings().reversal_policy, settings().telling
    return Books(
        store(), utc_now, ours, policy, NoOutbox(), telling, top_ups(settings())
    )


def top_ups(settings: Settings) -> TopUps:
    """Return the object that opens automatic charges when units are taken.

    It is NoTopUps, which does nothing, if this deployment does not offer
    automatic top-ups.
    """
    if not settings.auto_top_up:
        return NoTopUps()
    # Payments, plans and agreements: a debit pays for their import only where it may need them.
    from billing.top_up.crossing import AutomaticCharges  # noqa: PLC0415 - see above

    return AutomaticCharges(settings.top_up_queue_url)


def in_init(make: Callable[[], object]) -> None:
    """Call ``make`` now, while Lambda starts the process.

    ``make`` creates a client. Now is a good time, because a starting process
    has a whole processor, and a request a seventh of one. Nothing is called if
    the process starts from a snapshot: the client would keep the snapshot's
    credentials, so it is created at its first use.
    """
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") in STARTS_WHOLE:
        make()
