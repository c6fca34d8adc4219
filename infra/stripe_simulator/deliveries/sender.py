"""Delivers events as Stripe does: signed, to every enabled endpoint, again and again until a 2xx. https://docs.stripe.com/webhooks.

What is still to be delivered stands in the file (``Postbag``), so a stop loses nothing; what was tried lately is kept in memory.
"""

import asyncio
import json
import random
import ssl
import time
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import httpx
from stripe import WebhookSignature

from infra.stripe_simulator.deliveries.queue import Parcel, Postbag
from infra.stripe_simulator.objects.store import Drawers, Thing
from infra.stripe_simulator.settings import Timing, WebhookTarget

IN_FLIGHT_MAX: Final = 16
"""Deliveries under way at once: the embedded AWS starts a process of 60 MB for each."""
ATTEMPTS_KEPT: Final = 2000
REORDER_SECONDS_MAX: Final = 0.3
"""How long a delivery may be held back so that later ones pass it."""
NAP_SECONDS_MAX: Final = 1.0
ANSWER_CHARS_KEPT: Final = 200


@cache
def tls() -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than everything else at a start."""
    return httpx.create_ssl_context(trust_env=False)


@dataclass(slots=True)
class Manners:
    """How webhooks are delivered from now on."""

    drop: float = 0
    duplicate: float = 0
    reorder: bool = False
    pause: bool = False


class Courier:
    """Background deliveries of one simulator, from ``start``, or the first event, to ``close``."""

    def __init__(self, drawers: Drawers, timing: Timing) -> None:
        """What an earlier run left is not sent before ``start``."""
        self.manners = Manners()
        self.targets: dict[str, WebhookTarget] = {}
        self.disabled: frozenset[str] = frozenset()
        self.attempts: deque[dict[str, Any]] = deque(maxlen=ATTEMPTS_KEPT)
        self._drawers, self._timing = drawers, timing
        self.postbag = Postbag(drawers)
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._moved, self._woken = asyncio.Event(), asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def wanting(self, kind: str) -> list[WebhookTarget]:
        """Endpoints that want events of this type."""
        return [target for target in self.targets.values() if target.wants(kind)]

    def post(self, event: Thing, *, again: bool = False) -> None:
        """Send to all who want it, by the manners of the moment.

        ``again``: by hand, which settles no automatic delivery.
        """
        for target in self.wanting(event["type"]):
            if random.random() < self.manners.drop:  # noqa: S311 - chance, not a secret
                self._note(event, target, None, "dropped")
                continue
            copies = 2 if random.random() < self.manners.duplicate else 1  # noqa: S311 - chance, not a secret
            held = random.uniform(0, REORDER_SECONDS_MAX) if self.manners.reorder else 0  # noqa: S311 - chance, not a secret
            for _ in range(copies):
                self.postbag.add(
                    event["id"], target.name, self._drawers.time() + held, counts=not again
                )
        self.start()  # an application may be served without its lifespan
        self.wake()

    def wake(self) -> None:
        """Something changed: endpoints, manners, the clock, or there is something new to deliver."""
        self._woken.set()

    def forget(self, target_name: str) -> None:
        """An endpoint is no more; what waited for it is not delivered."""
        self.postbag.forget(target_name)
        self.wake()

    def start(self) -> None:
        """Begin to deliver, what an earlier run left first, in the loop that is running.

        A second start changes nothing.
        """
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Deliveries under way are cut off; the next start sends them again."""
        tasks = [task for task in (self._worker, *self._under_way.values()) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._worker = None

    async def idle(self, seconds: float = 10) -> bool:
        """Wait until nothing is under way or due.

        Pauses between tries do not count. False when that takes too long.
        """
        try:
            async with asyncio.timeout(seconds):
                while self._under_way or (
                    not self.manners.pause and self.postbag.busy(self.targets)
                ):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def _work(self) -> None:
        async with httpx.AsyncClient(
            timeout=self._timing.answer_seconds_max, verify=tls(), trust_env=False
        ) as client:
            while True:
                self._woken.clear()
                self._set_off(client)
                try:
                    async with asyncio.timeout(self.postbag.seconds_until_due(NAP_SECONDS_MAX)):
                        await self._woken.wait()
                except TimeoutError:
                    continue  # something has fallen due, or it is time to look again

    def _set_off(self, client: httpx.AsyncClient) -> None:
        free = IN_FLIGHT_MAX - len(self._under_way)
        if self.manners.pause or free <= 0:
            return
        self.postbag.give_up_tried(self.disabled)
        ready = self.postbag.due(
            self.targets, free + len(self._under_way), shuffled=self.manners.reorder
        )
        for parcel in [parcel for parcel in ready if parcel.number not in self._under_way][:free]:
            self._under_way[parcel.number] = asyncio.create_task(
                self._carry(client, parcel, self.targets[parcel.target_name])
            )

    async def _carry(
        self, client: httpx.AsyncClient, parcel: Parcel, target: WebhookTarget
    ) -> None:
        try:
            event = self._drawers.get("event", parcel.event_id)
            if event is None or await self._accepted(client, event, target):
                self.postbag.done(parcel)
            else:
                self.postbag.failed(parcel, self._timing.pauses_seconds)
        finally:
            del self._under_way[parcel.number]
            self._moved.set()
            self.wake()

    async def _accepted(
        self, client: httpx.AsyncClient, event: Thing, target: WebhookTarget
    ) -> bool:
        """Any 2xx; a redirect is none.

        Each try has a new timestamp and signature, by the real clock: receivers compare with
        theirs.
        """
        body = json.dumps(event, indent=2, ensure_ascii=False)
        headers = {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "stripe-signature": WebhookSignature.generate_signature_header(
                body, target.secret, timestamp=int(time.time())
            ),
            **({"host": target.host} if target.host else {}),
        }
        try:
            answer = await client.post(target.url, content=body.encode(), headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._note(event, target, None, type(error).__name__)
            return False
        self._note(event, target, answer.status_code, answer.text[:ANSWER_CHARS_KEPT])
        return answer.is_success

    def _note(self, event: Thing, target: WebhookTarget, status: int | None, text: str) -> None:
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
