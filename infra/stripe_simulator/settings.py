"""What a simulator is told when it is made."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import stripe

API_VERSION: Final = str(stripe.api_version)
"""The version that the pinned library was made for; events are written in it."""
PAUSES_SECONDS: Final = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1800, 3600, 3600, 3600)
"""Between tries.

Stripe's go on for three days; these are shorter and of the same shape.
https://docs.stripe.com/webhooks#retries
"""
ANSWER_SECONDS_MAX: Final = 20
"""Stripe does not publish how long it waits for an answer; Checkout itself waits 10 s."""


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """An endpoint.

    ``events`` empty or with ``*`` for all; ``host`` is sent as the Host header where the URL's own
    is not the one.
    """

    url: str
    secret: str
    host: str = ""
    events: tuple[str, ...] = ()
    endpoint_id: str = ""

    @property
    def name(self) -> str:
        """What its waiting deliveries are kept under: they outlive a stop."""
        return self.endpoint_id or f"{self.url} {self.host}"

    def wants(self, kind: str) -> bool:
        """Whether it is subscribed to this type of event."""
        return not self.events or "*" in self.events or kind in self.events


@dataclass(frozen=True, slots=True)
class Timing:
    """Time as the simulator sees it: epoch seconds now, pauses between tries of a webhook, deadline with an endpoint."""

    clock: Callable[[], float] = time.time
    pauses_seconds: tuple[float, ...] = PAUSES_SECONDS
    answer_seconds_max: float = ANSWER_SECONDS_MAX


@dataclass(frozen=True, slots=True)
class Settings:
    """``base_url`` is where the application will be found; ``state_file`` keeps its objects, ``:memory:`` forgets them at a stop."""

    base_url: str
    secret_key: str
    webhooks: tuple[WebhookTarget, ...] = ()
    state_file: Path | str = ":memory:"
    api_version: str = API_VERSION
    timing: Timing = Timing()
