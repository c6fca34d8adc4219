"""What the official Stripe CLI asks of Stripe beside the API: a session, a WebSocket that brings it events, and sending one again.

https://docs.stripe.com/stripe-cli/use-cli. The messages are those of its public source, github.com/stripe/stripe-cli (pkg/stripeauth,
pkg/websocket). A session is one more endpoint to the courier, at an address of the simulator's own that passes on what comes there:
so its events are signed with the session's secret, and dropped, doubled, held back and noted as all others are.
"""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from infra.stripe_simulator.api import forms
from infra.stripe_simulator.api.errors import StripeFault, missing
from infra.stripe_simulator.objects.ids import new_id
from infra.stripe_simulator.settings import WebhookTarget

if TYPE_CHECKING:
    from infra.stripe_simulator.api.app import Simulator

FEATURE: Final = "webhooks"
RECONNECT_SECONDS: Final = 3600
"""The CLI makes a new connection after so long."""
ACK_SECONDS_MAX: Final = 10
NOBODY_LISTENS: Final = (
    "No CLI endpoints found to retry delivery. Run 'stripe listen' and retry the request to see the event in the CLI,"
    " or provide a specific webhook endpoint."
)
Body = dict[str, Any]
Act = Callable[[Request, Body], Body]


@dataclass(slots=True)
class Session:
    """One `stripe listen`.

    ``acked`` holds, per conversation, what waits for the CLI to say that it has the event.
    """

    target: WebhookTarget
    socket: WebSocket | None = None
    acked: dict[str, asyncio.Event] = field(default_factory=dict)


def routes(simulator: "Simulator", authenticate: Callable[[Request], None]) -> list[BaseRoute]:
    """To be found before the API's own.

    ``authenticate`` raises a StripeFault without the account's key.
    """
    desk = _Desk(simulator)
    return [
        Route("/v1/stripecli/sessions", _api(desk.create, authenticate), methods=["POST"]),
        Route("/v1/events/{id}/retry", _api(desk.resend, authenticate), methods=["POST"]),
        Route("/_stripecli/{id}", desk.pass_on, methods=["POST"]),
        WebSocketRoute("/_stripecli/{id}", desk.listen),
    ]


def _api(
    act: Act, authenticate: Callable[[Request], None]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        request_id = new_id("request")
        headers = {"request-id": request_id}
        try:
            authenticate(request)
            return JSONResponse(
                act(request, forms.parse((await request.body()).decode("utf-8", "replace"))),
                headers=headers,
            )
        except StripeFault as fault:
            return JSONResponse(fault.body(request_id), fault.status, headers)

    return endpoint


class _Desk:
    """The sessions of one simulator. A stop ends them; the CLI asks for a new one."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator
        self._sessions: dict[str, Session] = {}

    def create(self, _: Request, asked: Body) -> Body:
        """A device keeps its signing secret from one session to the next."""
        device = str(asked.get("device_name", ""))
        if not device:
            raise StripeFault(
                400,
                "Missing required param: device_name.",
                code="parameter_missing",
                param="device_name",
            )
        if FEATURE not in asked.get("websocket_features", []):
            raise StripeFault(
                400, f"Only {FEATURE} are brought by this WebSocket.", param="websocket_features"
            )
        drawers, base = self._simulator.drawers, self._simulator.world.base_url
        secret = drawers.note(f"stripecli:{device}") or drawers.note(
            f"stripecli:{device}", new_id("webhook_secret")
        )
        name = f"cliws_{secrets.token_hex(12)}"
        self._sessions[name] = Session(WebhookTarget(f"{base}/_stripecli/{name}", secret))
        return {
            "default_version": self._simulator.world.api_version,
            "display_connect_filter_warning": False,
            "latest_version": self._simulator.world.api_version,
            "reconnect_delay": RECONNECT_SECONDS,
            "secret": secret,
            "websocket_authorized_feature": FEATURE,
            "websocket_id": name,
            "websocket_url": f"ws{base.removeprefix('http')}/_stripecli/{name}",
        }

    def resend(self, request: Request, asked: Body) -> Body:
        """`stripe events resend`: to whoever listens, or to the endpoint that is named; never to all others again."""
        event = self._simulator.world.need("event", request.path_params["id"])
        courier = self._simulator.courier
        if name := asked.get("webhook_endpoint"):
            if name not in courier.targets:
                raise missing("webhook_endpoint", str(name), "webhook_endpoint")
            targets = [courier.targets[name]]
        else:
            targets = [session.target for session in self._sessions.values() if session.socket]
        if not targets:
            raise StripeFault(400, NOBODY_LISTENS, param="for_stripecli")
        for target in targets:
            courier.postbag.add(
                event["id"], target.name, self._simulator.drawers.time(), counts=False
            )
        courier.start()
        courier.wake()
        return event

    async def listen(self, socket: WebSocket) -> None:
        """From the CLI's connection to its end.

        What happens in between is brought to it, and nothing afterwards.
        """
        session = self._sessions.get(socket.headers.get("websocket-id", ""))
        if session is None or not session.target.url.endswith(f"/{socket.path_params['id']}"):
            await socket.send_denial_response(
                JSONResponse({"error": {"message": "Unknown WebSocket ID."}}, 401)
            )
            return
        offered = socket.scope["subprotocols"]
        await socket.accept(subprotocol=offered[0] if offered else None)
        session.socket = socket
        self._simulator.deliver_to(*self._given(), session.target)
        try:
            async for text in socket.iter_text():
                said = json.loads(text)
                if said.get("type") == "event_ack" and (
                    waiting := session.acked.get(said.get("webhook_conversation_id"))
                ):
                    waiting.set()
        finally:
            session.socket = None
            self._simulator.deliver_to(
                *(target for target in self._given() if target is not session.target)
            )
            self._simulator.courier.forget(session.target.name)

    def _given(self) -> list[WebhookTarget]:
        """The endpoints that were not made by the API."""
        return [
            target for target in self._simulator.courier.targets.values() if not target.endpoint_id
        ]

    async def pass_on(self, request: Request) -> Response:
        """What the courier brings.

        200 once the CLI has it: what the seller's server answers is shown to the CLI's user only.
        """
        session = self._sessions.get(request.path_params["id"])
        if session is None or session.socket is None:
            return PlainTextResponse("nobody listens", 503)
        conversation = f"wc_{secrets.token_hex(12)}"
        session.acked[conversation] = arrived = asyncio.Event()
        names = ("stripe-signature", "content-type", "user-agent")
        try:
            await session.socket.send_json(
                {
                    "type": "webhook_event",
                    "endpoint": {"api_version": None},
                    "event_payload": (await request.body()).decode(),
                    "http_headers": {name.title(): request.headers[name] for name in names},
                    "webhook_conversation_id": conversation,
                    "webhook_id": f"wh_{secrets.token_hex(12)}",
                }
            )
            async with asyncio.timeout(ACK_SECONDS_MAX):
                await arrived.wait()
        except (TimeoutError, WebSocketDisconnect):
            return PlainTextResponse("the CLI does not say that it has the event", 504)
        finally:
            del session.acked[conversation]
        return PlainTextResponse("the CLI has it")
