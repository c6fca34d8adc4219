"""Defines a simulator's settings: address, secret key, webhook endpoints, state file and timing."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import stripe

API_VERSION: Final = str(stripe.api_version)
"""The version of Stripe's API that the pinned package was made for. Events are written in it."""
PAUSES_SECONDS: Final = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1800, 3600, 3600, 3600)
"""The pauses between attempts of one delivery.

Stripe retries with exponential backoff for three days. These pauses have the same shape and are
shorter. https://docs.stripe.com/webhooks#retries
"""
ANSWER_SECONDS_MAX: Final = 20
"""The deadline for an endpoint's answer. Stripe does not publish its own; Checkout waits 10 s."""


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """The settings of one webhook endpoint.

    An empty ``events``, or ``*`` in it, subscribes to all types. ``host`` replaces the URL's own
    host in the Host header.
    """

    url: str
    secret: str
    host: str = ""
    events: tuple[str, ...] = ()
    endpoint_id: str = ""

    @property
    def name(self) -> str:
        """Return the name under which the endpoint's deliveries are stored.

        The name is the same after a restart.
        """
        return self.endpoint_id or f"{self.url} {self.host}"

    def wants(self, kind: str) -> bool:
        """Return whether the endpoint is subscribed to this type of event."""
        return not self.events or "*" in self.events or kind in self.events


@dataclass(frozen=True, slots=True)
class Timing:
    """Holds the times for sending webhooks: the clock, the pauses between retries, and a timeout.

    ``clock`` returns epoch seconds. ``answer_seconds_max`` is how long to wait for an endpoint's
    answer.
    """

    clock: Callable[[], float] = time.time
    pauses_seconds: tuple[float, ...] = PAUSES_SECONDS
    answer_seconds_max: float = ANSWER_SECONDS_MAX


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a simulator.

    ``base_url`` is the application's address. ``state_file`` stores the objects; ``:memory:`` loses
    them when the simulator stops.
    """

    base_url: str
    secret_key: str
    webhooks: tuple[WebhookTarget, ...] = ()
    state_file: Path | str = ":memory:"
    api_version: str = API_VERSION
    timing: Timing = Timing()
