"""Builds the objects that all requests of one container share."""

import os
from collections.abc import Callable
from functools import cache
from typing import Final

from billing.books import Books, NoOutbox
from billing.clock import utc_now
from billing.deadline import Deadline
from billing.deployment import StoredDeployment
from billing.settings import Ours, Settings
from billing.storage.dynamodb import Store

STARTS_WHOLE: Final = ("on-demand", "provisioned-concurrency")
"""Ways to start in which what is made before the first request lives as long as the container, its
credentials too. Not from a snapshot.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
"""


@cache
def settings() -> Settings:
    """The environment, read at the first request of a container."""
    return Settings.from_environment()


@cache
def deadline() -> Deadline:
    """The deadline that all doors of a request share."""
    return Deadline()


@cache
def store() -> Store:
    """DynamoDB."""
    return Store(settings().tables, deadline())


def connect() -> None:
    """What the first call of DynamoDB would have to do first."""
    store().connect()


@cache
def books() -> Books:
    """What every act works on."""
    ours = Ours(settings().livemode, StoredDeployment(store()))
    return Books(store(), utc_now, ours, settings().reversal_policy, NoOutbox())


def in_init(make: Callable[[], object]) -> None:
    """Make a client while Lambda starts the container, if it may be kept: a whole processor is there then, and a seventh of one later."""
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") in STARTS_WHOLE:
        make()
