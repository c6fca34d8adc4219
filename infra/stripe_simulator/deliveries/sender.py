"""Delivers events as Stripe does: signed, to every enabled endpoint, with retries until a 2xx.

https://docs.stripe.com/webhooks. Pending deliveries are stored in ``DeliveryQueue``, so a restart
loses none. The latest attempts are kept in memory.
"""

import asyncio
import json
import random
import ssl
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import httpx

from infra.stripe_simulator.deliveries.headers import signed_headers
from infra.stripe_simulator.deliveries.queue import DeliveryQueue, PendingDelivery
from infra.stripe_simulator.settings import Timing, WebhookTarget
from infra.stripe_simulator.store import Store, Thing

IN_FLIGHT_MAX: Final = 16
"""The most concurrent deliveries. The embedded AWS starts a process of 60 MB for each."""
ATTEMPTS_KEPT: Final = 2000
REORDER_SECONDS_MAX: Final = 0.3
"""The longest delay by which a delivery is held back so that later ones overtake it."""
NAP_SECONDS_MAX: Final = 1.0
ANSWER_CHARS_KEPT: Final = 200


@cache
def tls() -> ssl.SSLContext:
    """Return the shared TLS context, made at the first call.

    To read the certificates takes most of a start's time.
    """
    return httpx.create_ssl_context(trust_env=False)


@dataclass(slots=True)
class DeliveryOptions:
    """Options for the next deliveries.

    ``drop`` and ``duplicate`` are probabilities. ``reorder`` shuffles the deliveries, and ``pause``
    stops them.
    """

    drop: float = 0
    duplicate: float = 0
    reorder: bool = False
    pause: bool = False


class Deliveries:
    """Sends one simulator's webhooks in the background.

    Sending begins when ``start`` is called, or with the first event.
    """

    def __init__(self, store: Store, timing: Timing) -> None:
        """Create a sender without endpoints, which sends nothing until ``start`` or ``post``.

        Deliveries that an earlier run left in the store are then sent as well.
        """
        self.options = DeliveryOptions()
        self.targets: dict[str, WebhookTarget] = {}
        self.disabled: frozenset[str] = frozenset()
        self.attempts: deque[dict[str, Any]] = deque(maxlen=ATTEMPTS_KEPT)
        self._store, self._timing = store, timing
        self.queue = DeliveryQueue(store)
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._moved, self._woken = asyncio.Event(), asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def subscribed(self, kind: str) -> list[WebhookTarget]:
        """Return the endpoints that are subscribed to this type of event."""
        return [target for target in self.targets.values() if target.wants(kind)]

    def post(self, event: Thing, *, again: bool = False) -> None:
        """Queue the event for every subscribed endpoint.

        ``self.options`` can drop, duplicate or delay it. ``again`` is true for an event that was
        resent by hand. Such a delivery does not change the event's ``pending_webhooks``.
        """
        for target in self.subscribed(event["type"]):
            if random.random() < self.options.drop:  # noqa: S311 - chance, not a secret
                self._record(event, target, None, "dropped")
                continue
            due = self._store.time() + self._delay_seconds()
            copies = 2 if random.random() < self.options.duplicate else 1  # noqa: S311 - see above
            for _ in range(copies):
                self.queue.add(event["id"], target.name, due, counts=not again)
        self.start()  # an application may be served without its lifespan
        self.wake()

    def _delay_seconds(self) -> float:
        if not self.options.reorder:
            return 0
        return random.uniform(0, REORDER_SECONDS_MAX)  # noqa: S311 - chance, not a secret

    def wake(self) -> None:
        """Make the sender look at the queue now, because something has changed."""
        self._woken.set()

    def forget(self, target_name: str) -> None:
        """Remove the pending deliveries to a webhook endpoint that was deleted."""
        self.queue.forget(target_name)
        self.wake()

    def start(self) -> None:
        """Start delivering in the running event loop. A second call does nothing."""
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Cancel deliveries under way. The next start sends them again."""
        tasks = [task for task in (self._worker, *self._under_way.values()) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._worker = None

    async def idle(self, seconds: float = 10) -> bool:
        """Wait until no delivery is under way or due. Returns False after ``seconds``.

        A delivery that waits for its next retry does not count.
        """
        try:
            async with asyncio.timeout(seconds):
                while self._under_way or self._has_work():
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    def _has_work(self) -> bool:
        return not self.options.pause and self.queue.busy(self.targets)

    async def _work(self) -> None:
        deadline = self._timing.answer_seconds_max
        async with httpx.AsyncClient(timeout=deadline, verify=tls(), trust_env=False) as client:
            while True:
                self._woken.clear()
                self._start_due(client)
                try:
                    async with asyncio.timeout(self.queue.seconds_until_due(NAP_SECONDS_MAX)):
                        await self._woken.wait()
                except TimeoutError:
                    continue  # a delivery is due, or it is time to look again

    def _start_due(self, client: httpx.AsyncClient) -> None:
        free = IN_FLIGHT_MAX - len(self._under_way)
        if self.options.pause or free <= 0:
            return
        self.queue.give_up_tried(self.disabled)
        due = self.queue.due(self.targets, IN_FLIGHT_MAX, shuffled=self.options.reorder)
        waiting = [delivery for delivery in due if delivery.number not in self._under_way]
        for delivery in waiting[:free]:
            sending = self._deliver(client, delivery, self.targets[delivery.target_name])
            self._under_way[delivery.number] = asyncio.create_task(sending)

    async def _deliver(
        self, client: httpx.AsyncClient, delivery: PendingDelivery, target: WebhookTarget
    ) -> None:
        try:
            event = self._store.get("event", delivery.event_id)
            if event is None or await self._send(client, event, target):
                self.queue.done(delivery)
            else:
                self.queue.failed(delivery, self._timing.pauses_seconds)
        finally:
            del self._under_way[delivery.number]
            self._moved.set()
            self.wake()

    async def _send(self, client: httpx.AsyncClient, event: Thing, target: WebhookTarget) -> bool:
        """Send the event once. Returns whether the answer was a 2xx; a redirect is a failure."""
        body = json.dumps(event, indent=2, ensure_ascii=False)
        headers = signed_headers(body, target)
        try:
            answer = await client.post(target.url, content=body.encode(), headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._record(event, target, None, type(error).__name__)
            return False
        self._record(event, target, answer.status_code, answer.text[:ANSWER_CHARS_KEPT])
        return answer.is_success

    def _record(self, event: Thing, target: WebhookTarget, status: int | None, text: str) -> None:
        good = status is not None and httpx.codes.is_success(status)
        row = {
            "event": event["id"],
            "type": event["type"],
            "url": target.url,
            "status": status,
            "ok": good,
            "answer": text,
        }
        self.attempts.append(row)
