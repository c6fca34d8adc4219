"""Delivers events as Stripe does: signed, to every enabled endpoint, again and again until a 2xx. https://docs.stripe.com/webhooks"""

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from stripe import WebhookSignature

from infra.local.simulator.drawers import Drawers, Thing

PAUSES_SECONDS: Final = (0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600, 1800, 3600, 3600, 3600)
"""Shorter than Stripe's, which go on for three days; the shape is the same."""
ANSWER_SECONDS_MAX: Final = 20
ATTEMPTS_KEPT: Final = 2000


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """An endpoint. ``events`` empty or ``*`` for all."""

    url: str
    secret: str
    host: str = ""
    events: tuple[str, ...] = ()
    endpoint_id: str = ""

    def wants(self, kind: str) -> bool:
        """Whether it is subscribed to this type."""
        return not self.events or "*" in self.events or kind in self.events


@dataclass(slots=True)
class Manners:
    """How webhooks are delivered from now on."""

    drop: float = 0
    duplicate: float = 0
    reorder: bool = False
    pause: bool = False


@dataclass(slots=True)
class Courier:
    """Background deliveries of one simulator."""

    drawers: Drawers
    manners: Manners = field(default_factory=Manners)
    targets: list[WebhookTarget] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    _waiting: list[tuple[Thing, WebhookTarget]] = field(default_factory=list)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _sleeping: int = 0
    _client: httpx.AsyncClient | None = None

    def post(self, event: Thing, targets: list[WebhookTarget] | None = None) -> None:
        """Send to all who want it, by the manners of the moment."""
        for target in self.targets if targets is None else targets:
            if not target.wants(event["type"]):
                continue
            if random.random() < self.manners.drop:  # noqa: S311 - chance, not a secret
                self._note(event, target, None, "dropped")
                continue
            copies = 2 if random.random() < self.manners.duplicate else 1  # noqa: S311 - chance, not a secret
            self._waiting += [(event, target)] * copies
        self.release()

    def release(self) -> None:
        """Let what waits go, unless deliveries are paused."""
        if self.manners.pause:
            return
        ready, self._waiting = self._waiting, []
        if self.manners.reorder:
            random.shuffle(ready)
        for event, target in ready:
            pause = random.uniform(0, 0.3) if self.manners.reorder else 0  # noqa: S311 - chance, not a secret
            task = asyncio.get_running_loop().create_task(self._deliver(event, target, pause))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def idle(self, seconds: float = 10) -> bool:
        """Wait until nothing is under way but pauses between tries. False when that takes too long."""
        deadline = time.monotonic() + seconds
        while len(self._tasks) > self._sleeping and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return len(self._tasks) <= self._sleeping

    async def close(self) -> None:
        """The simulator stops."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client:
            await self._client.aclose()

    async def _deliver(self, event: Thing, target: WebhookTarget, pause: float) -> None:
        await asyncio.sleep(pause)
        for rest in (*PAUSES_SECONDS, None):
            if await self._once(event, target):
                return
            if rest is None:
                return
            self._sleeping += 1
            try:
                await asyncio.sleep(rest)
            finally:
                self._sleeping -= 1

    async def _once(self, event: Thing, target: WebhookTarget) -> bool:
        body = json.dumps(event, indent=2)
        headers = {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "stripe-signature": WebhookSignature.generate_signature_header(body, target.secret),
            **({"host": target.host} if target.host else {}),
        }
        self._client = self._client or httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX, trust_env=False)
        try:
            answer = await self._client.post(target.url, content=body.encode(), headers=headers)
        except httpx.HTTPError as error:
            self._note(event, target, None, type(error).__name__)
            return False
        self._note(event, target, answer.status_code, answer.text[:200])
        if not answer.is_success:
            return False
        if stored := self.drawers.get("event", event["id"]):
            self.drawers.put({**stored, "pending_webhooks": max(0, stored["pending_webhooks"] - 1)})
        return True

    def _note(self, event: Thing, target: WebhookTarget, status: int | None, text: str) -> None:
        good = status is not None and 200 <= status < 300  # noqa: PLR2004 - HTTP's own
        row = {"event": event["id"], "type": event["type"], "url": target.url, "status": status, "ok": good, "answer": text}
        self.attempts = [*self.attempts[-ATTEMPTS_KEPT:], row]
