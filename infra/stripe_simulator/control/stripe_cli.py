"""Serves the official Stripe CLI: sessions, a WebSocket, and resending events.

https://docs.stripe.com/stripe-cli/use-cli. The messages follow the CLI's public source,
github.com/stripe/stripe-cli (pkg/stripeauth, pkg/websocket).

The sender of webhooks sees each CLI session as one more webhook endpoint. The URL of that endpoint
is a route of the simulator itself, which passes events on to the WebSocket. So these events are
signed with the session's secret, and can be dropped, duplicated, delayed and recorded like all
others.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from infra.stripe_simulator.api import forms
from infra.stripe_simulator.api.authentication import authenticate
from infra.stripe_simulator.errors import StripeFault, missing
from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.settings import WebhookTarget
from infra.stripe_simulator.simulator import Simulator

FEATURE: Final = "webhooks"
RECONNECT_SECONDS: Final = 3600
"""The CLI opens a new connection after this time."""
ACK_SECONDS_MAX: Final = 10
NO_LISTENER: Final = (
    "No CLI endpoints found to retry delivery. Run 'stripe listen' and retry the request to see the"
    " event in the CLI, or provide a specific webhook endpoint."
)
HEADERS: Final = ("stripe-signature", "content-type", "user-agent")
Body = dict[str, Any]
Act = Callable[[Request, Body], Body]


@dataclass(slots=True)
class Session:
    """The session of one running `stripe listen`: its webhook endpoint and its WebSocket.

    ``socket`` is None while the CLI is not connected. Each event that is passed to the CLI gets a
    conversation id. ``acknowledged`` has an asyncio.Event for each of these ids, which is set when
    the CLI acknowledges the event.
    """

    target: WebhookTarget
    socket: WebSocket | None = None
    acknowledged: dict[str, asyncio.Event] = field(default_factory=dict)


def routes(simulator: Simulator) -> list[BaseRoute]:
    """Return the routes that the Stripe CLI calls.

    They must be matched before the routes of the simulated Stripe API.
    """
    sessions = _Sessions(simulator)
    create, resend = _api(simulator, sessions.create), _api(simulator, sessions.resend)
    return [
        Route("/v1/stripecli/sessions", create, methods=["POST"]),
        Route("/v1/events/{id}/retry", resend, methods=["POST"]),
        Route("/_stripecli/{id}", sessions.pass_on, methods=["POST"]),
        WebSocketRoute("/_stripecli/{id}", sessions.listen),
    ]


def _api(simulator: Simulator, act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        request_id = new_id("request")
        headers = {"request-id": request_id}
        try:
            authenticate(request, simulator.secret_keys, simulator.world.api_version)
            asked = forms.parse((await request.body()).decode("utf-8", "replace"))
            return JSONResponse(act(request, asked), headers=headers)
        except StripeFault as fault:
            return JSONResponse(fault.body(request_id), fault.status, headers)

    return endpoint


class _Sessions:
    """Keeps the sessions of the Stripe CLI (`stripe listen`), and handles the CLI's requests.

    Sessions are in memory, so they end when the simulator stops. The CLI then asks for a new one.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._sessions: dict[str, Session] = {}

    def create(self, _: Request, asked: Body) -> Body:
        """Create a session, and return what the CLI needs to open its WebSocket.

        All sessions of one device have the same signing secret.
        """
        device = _device(asked)
        world = self._simulator.world
        secret = self._secret(f"stripecli:{device}")
        name = f"cliws_{secrets.token_hex(12)}"
        path = f"/_stripecli/{name}"
        self._sessions[name] = Session(WebhookTarget(f"{world.base_url}{path}", secret))
        return {
            "default_version": world.api_version,
            "display_connect_filter_warning": False,
            "latest_version": world.api_version,
            "reconnect_delay": RECONNECT_SECONDS,
            "secret": secret,
            "websocket_authorized_feature": FEATURE,
            "websocket_id": name,
            "websocket_url": f"ws{world.base_url.removeprefix('http')}{path}",
        }

    def _secret(self, note: str) -> str:
        store = self._simulator.store
        return str(store.note(note) or store.note(note, new_id("webhook_secret")))

    def resend(self, request: Request, asked: Body) -> Body:
        """Send an event again, for `stripe events resend`, and return it.

        The event goes to the named endpoint, or else to every CLI session that listens.
        """
        event = self._simulator.world.need("event", request.path_params["id"])
        deliveries = self._simulator.deliveries
        for target in self._resend_targets(asked.get("webhook_endpoint")):
            now = self._simulator.store.time()
            deliveries.queue.add(event["id"], target.name, now, counts=False)
        deliveries.start()
        deliveries.wake()
        return event

    def _resend_targets(self, endpoint: str | None) -> list[WebhookTarget]:
        known = self._simulator.deliveries.targets
        if endpoint:
            if endpoint not in known:
                raise missing("webhook_endpoint", str(endpoint), "webhook_endpoint")
            return [known[endpoint]]
        listening = [session.target for session in self._sessions.values() if session.socket]
        if not listening:
            raise StripeFault(400, NO_LISTENER, param="for_stripecli")
        return listening

    async def listen(self, socket: WebSocket) -> None:
        """Serve one connection of the CLI.

        The CLI gets the events that happen while the connection is open.
        """
        session = self._sessions.get(socket.headers.get("websocket-id", ""))
        if session is None or not session.target.url.endswith(f"/{socket.path_params['id']}"):
            denial = JSONResponse({"error": {"message": "Unknown WebSocket ID."}}, 401)
            await socket.send_denial_response(denial)
            return
        offered = socket.scope["subprotocols"]
        await socket.accept(subprotocol=offered[0] if offered else None)
        session.socket = socket
        self._simulator.deliver_to(*self._given(), session.target)
        try:
            async for text in socket.iter_text():
                _acknowledge(session, json.loads(text))
        finally:
            session.socket = None
            others = [target for target in self._given() if target is not session.target]
            self._simulator.deliver_to(*others)
            self._simulator.deliveries.forget(session.target.name)

    def _given(self) -> list[WebhookTarget]:
        """Return the webhook endpoints from the settings and from ``stripe listen``.

        Webhook endpoints that were created by the simulated API are left out.
        """
        targets = self._simulator.deliveries.targets.values()
        return [target for target in targets if not target.endpoint_id]

    async def pass_on(self, request: Request) -> Response:
        """Pass the delivery of one event on to the Stripe CLI that listens.

        Returns 200 once the CLI has acknowledged it, 503 if no CLI is connected, and 504 if it
        does not acknowledge in time. How the seller's server answers the CLI is shown only to the
        CLI's user.
        """
        session = self._sessions.get(request.path_params["id"])
        if session is None or session.socket is None:
            return PlainTextResponse("no CLI is listening", 503)
        conversation = f"wc_{secrets.token_hex(12)}"
        session.acknowledged[conversation] = arrived = asyncio.Event()
        try:
            await session.socket.send_json(await _message(request, conversation))
            async with asyncio.timeout(ACK_SECONDS_MAX):
                await arrived.wait()
        except (TimeoutError, WebSocketDisconnect):
            return PlainTextResponse("the CLI did not acknowledge the event", 504)
        finally:
            del session.acknowledged[conversation]
        return PlainTextResponse("the CLI has the event")


def _device(asked: Body) -> str:
    """Return the device's name in the Stripe CLI's request to start `stripe listen`.

    Raises StripeFault if there is no name, or if the CLI does not ask for webhooks.
    """
    device = str(asked.get("device_name", ""))
    if not device:
        message = "Missing required param: device_name."
        raise StripeFault(400, message, code="parameter_missing", param="device_name")
    if FEATURE not in asked.get("websocket_features", []):
        message = f"This WebSocket carries {FEATURE} only."
        raise StripeFault(400, message, param="websocket_features")
    return device


def _acknowledge(session: Session, message: Body) -> None:
    if message.get("type") != "event_ack":
        return
    if arrived := session.acknowledged.get(message.get("webhook_conversation_id", "")):
        arrived.set()


async def _message(request: Request, conversation: str) -> Body:
    return {
        "type": "webhook_event",
        "endpoint": {"api_version": None},
        "event_payload": (await request.body()).decode(),
        "http_headers": {name.title(): request.headers[name] for name in HEADERS},
        "webhook_conversation_id": conversation,
        "webhook_id": f"wh_{secrets.token_hex(12)}",
    }
