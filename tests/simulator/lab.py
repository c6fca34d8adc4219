"""A simulator on a port of its own, an endpoint that receives its webhooks, and the official
client.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from infra.stripe_simulator.app import create_app
from infra.stripe_simulator.deliveries.sender import tls
from infra.stripe_simulator.settings import Settings, Timing, WebhookTarget

KEY: Final = "sk_test_of_a_simulator"
SECRET: Final = "whsec_of_a_simulator"
QUICK: Final = Timing(pauses_seconds=(0.02, 0.04, 0.08, 0.1), answer_seconds_max=0.5)
ITEM: Final = {
    "price_data": {"currency": "usd", "unit_amount": 999, "product_data": {"name": "Starter"}},
    "quantity": 1,
}
PARAMS: Final[Any] = {
    "mode": "payment",
    "success_url": "http://127.0.0.1:9/back?session={CHECKOUT_SESSION_ID}",
    "cancel_url": "http://127.0.0.1:9/cancelled",
    "line_items": [ITEM],
    "metadata": {"payment_id": "pay_1"},
    "payment_intent_data": {"metadata": {"payment_id": "pay_1", "plan": "starter"}},
}
FORM: Final = {
    "mode": "payment",
    "success_url": "http://127.0.0.1:9/back",
    "line_items[0][price_data][currency]": "usd",
    "line_items[0][price_data][unit_amount]": "999",
    "line_items[0][price_data][product_data][name]": "Starter",
    "line_items[0][quantity]": "1",
}
"""The least that makes a session, as a form."""


class _Server(uvicorn.Server):
    """uvicorn as it is, but it says when it is up and stops at once: by itself it looks ten times a
    second.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.up.set()
        await self._stopping.wait()

    def stop(self) -> None:
        """From another thread."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._stopping.set)


stopping: Final[list[threading.Thread]] = []
"""uvicorn takes a tenth of a second to stop: the next test need not wait for it, the end of them
all does."""


@contextmanager
def served(make: Callable[[str], ASGIApp], *, wait: bool = False) -> Iterator[str]:
    """Serve what ``make(base_url)`` makes, in a thread, on a free port.

    Yields the URL. ``wait``: until it has stopped.
    """
    listener = socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # of protocol 0 asyncio would leave Nagle's delay on
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = _Server(
        uvicorn.Config(
            make(url), log_level="warning", access_log=False, timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    assert server.up.wait(10), "the server did not start"
    try:
        yield url
    finally:
        server.stop()
        stopping.append(thread)
        if wait:
            thread.join(10)


@dataclass
class Receiver:
    """An endpoint.

    It answers with ``statuses`` one after the other, then with 200, and remembers what came.
    """

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[bytes, str]] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        """One delivery."""
        body = await request.body()
        self.got.append((body, request.headers["stripe-signature"]))
        self.hosts.append(request.headers["host"])
        status = self.statuses.pop(0) if self.statuses else 200
        return Response(
            status_code=status, headers={"location": self.url} if 300 <= status < 400 else None
        )

    @property
    def events(self) -> list[dict[str, Any]]:
        """What came, in the order of arrival."""
        return [json.loads(body) for body, _ in self.got]

    @property
    def types(self) -> list[str]:
        """Their types."""
        return [event["type"] for event in self.events]


@contextmanager
def receiving(receiver: Receiver | None = None) -> Iterator[Receiver]:
    """A receiver that is up."""
    receiver = receiver or Receiver()
    with served(lambda _: Starlette(routes=[Route("/", receiver.take, methods=["POST"])])) as url:
        receiver.url = f"{url}/"
        yield receiver


@dataclass
class Lab:
    """One simulator and the ways to talk to it."""

    url: str
    receiver: Receiver
    client: stripe.StripeClient
    http: httpx.Client

    def call(
        self, method: str, path: str, form: dict[str, str] | str | None = None, **headers: str
    ) -> httpx.Response:
        """One call of the API, as it goes over the wire. Underscores in header
        names become dashes.
        """
        sent = {
            "authorization": f"Bearer {KEY}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if isinstance(form, str):
            sent.setdefault("content-type", "application/x-www-form-urlencoded")
            return self.http.request(method, f"{self.url}{path}", headers=sent, content=form)
        return self.http.request(method, f"{self.url}{path}", headers=sent, data=form)

    def error(
        self,
        method: str,
        path: str,
        form: dict[str, str] | str | None = None,
        status: int = 400,
        **headers: str,
    ) -> dict[str, Any]:
        """A call that is refused: Stripe's error object."""
        answer = self.call(method, path, form, **headers)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()["error"]
        return found

    def control(self, path: str, expected: int = 200, **body: object) -> dict[str, Any]:
        """The control API."""
        answer = self.http.post(f"{self.url}/_control/{path}", json=body)
        assert answer.status_code == expected, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def create(self, **changes: Any) -> Any:
        """A session, by the official client."""
        params: Any = {**PARAMS, **changes}
        return self.client.v1.checkout.sessions.create(params)

    def pay(self, method: str = "card", **changes: Any) -> Any:
        """A session that the buyer has paid in this way, with its payment intent and charge."""
        session = self.create(**changes)
        self.control(f"sessions/{session.id}/pay", method=method)
        return self.session(session.id)

    def session(self, name: str) -> Any:
        """With its payment intent and charge."""
        return self.client.v1.checkout.sessions.retrieve(
            name, {"expand": ["payment_intent.latest_charge"]}
        )

    def idle(self) -> None:
        """Until every webhook has been delivered or waits for its next try."""
        assert self.control("idle") == {"idle": True}

    def attempts(self, number: int) -> list[dict[str, Any]]:
        """The attempts at delivery, when there are so many of them."""
        self.until(lambda: len(self._attempts()) >= number)
        self.idle()
        return self._attempts()

    def _attempts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.http.get(f"{self.url}/_control/deliveries").json()[
            "attempts"
        ]
        return found

    @staticmethod
    def until(true: Callable[[], bool]) -> None:
        """Wait for what happens by itself. Fails when it does not."""
        for _ in range(500):
            if true():
                return
            time.sleep(0.02)  # deliveries have their own time: there is nothing else to wait on
        raise AssertionError("it did not happen")

    def types(self) -> list[str]:
        """The types of all events, oldest first."""
        return [event.type for event in reversed(self.client.v1.events.list({"limit": 100}).data)]

    def event(self, kind: str) -> dict[str, Any]:
        """The latest event of a type, as it goes over the wire."""
        rows: list[dict[str, Any]] = self.call("GET", f"/v1/events?type={kind}").json()["data"]
        return rows[0]


@contextmanager
def lab(
    receiver: Receiver, state: Path | str = ":memory:", host: str = "", timing: Timing = QUICK
) -> Iterator[Lab]:
    """A simulator that delivers to this receiver. One with a file has closed it afterwards."""
    target = WebhookTarget(receiver.url, SECRET, host)
    with (
        served(
            lambda url: create_app(Settings(url, KEY, (target,), state, timing=timing)),
            wait=state != ":memory:",
        ) as url,
        httpx.Client(timeout=10, verify=tls(), trust_env=False) as http,
    ):
        client = stripe.StripeClient(KEY, base_addresses={"api": url}, max_network_retries=0)
        yield Lab(url, receiver, client, http)
