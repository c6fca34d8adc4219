"""Receives the events that the local stack sends to the seller, on the Stripe simulator's port.

``GET /_control/received`` lists the received events, oldest first. ``POST /_control/received``
with ``{"behave": ...}`` sets how the receiver answers from then on, and ``DELETE`` forgets the
events.
"""

import asyncio
from collections import deque
from typing import Any, Final, Literal, get_args

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

EVENTS: Final = "/_events"
RECEIVED: Final = "/_control/received"
Behaviour = Literal["ok", "500", "410", "hang", "slow", "redirect"]
KEPT: Final = 10_000
HANG_SECONDS: Final = 60
SLOW_PARTS: Final = 60
SLOW_PAUSE_SECONDS: Final = 0.5


class Receiver:
    """Stands in for the seller's server: records the events sent to it, and answers as it is told.

    ``behaviour`` says how it answers.
    """

    def __init__(self) -> None:
        """Start with no events, and answer 204 until another behaviour is set."""
        self.behaviour: Behaviour = "ok"
        self.received: deque[dict[str, Any]] = deque(maxlen=KEPT)

    async def take(self, request: Request) -> Response:
        """Record one event to the seller, and answer it as ``self.behaviour`` says."""
        body = await request.body()
        headers = dict(request.headers)
        text = body.decode("utf-8", "replace")
        self.received.append({"headers": headers, "body": text, "answered": self.behaviour})
        match self.behaviour:
            case "ok":
                return Response(status_code=204)
            case "500" | "410":
                return Response(status_code=int(self.behaviour))
            case "hang":
                await asyncio.sleep(HANG_SECONDS)  # the receiver hangs, as it was told to
                return Response(status_code=204)
            case "slow":
                return _Slow()
            case "redirect":
                return RedirectResponse(RECEIVED, status_code=307)

    async def control(self, request: Request) -> Response:
        """Handle /_control/received: list or forget the events, or set how to answer them."""
        if request.method == "GET":
            return JSONResponse({"behave": self.behaviour, "received": list(self.received)})
        if request.method == "DELETE":
            self.received.clear()
            return Response(status_code=204)
        try:
            asked = await request.json()
            chosen = asked["behave"]
        except (ValueError, KeyError, TypeError):
            chosen = None
        if chosen not in get_args(Behaviour):
            known = ", ".join(get_args(Behaviour))
            return JSONResponse({"error": f"behave must be one of {known}"}, 400)
        self.behaviour = chosen
        return JSONResponse({"behave": chosen})


class _Slow(Response):
    """A response that sends its status in time, but its body byte by byte over half a minute.

    The event counts as delivered, because the status is a success.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the status 200 after half a second, then one byte of the body each half second."""
        del scope, receive
        await asyncio.sleep(SLOW_PAUSE_SECONDS)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(SLOW_PARTS):
            await asyncio.sleep(SLOW_PAUSE_SECONDS)  # the receiver is slow, as it was told to
            await send({"type": "http.response.body", "body": b".", "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def in_front_of(inner: ASGIApp | None) -> ASGIApp:
    """Return an application that also receives the events to the seller.

    It stands in for the seller's server on the local stack, and passes other requests to ``inner``.
    If ``inner`` is None, it answers 404 to them.
    """
    receiver = Receiver()
    routes = [
        Route(EVENTS, receiver.take, methods=["POST"]),
        Route(RECEIVED, receiver.control, methods=["GET", "POST", "DELETE"]),
    ]
    own = Starlette(routes=routes)
    if inner is None:
        return own

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        is_own = scope["type"] == "http" and scope["path"] in (EVENTS, RECEIVED)
        await (own if is_own else inner)(scope, receive, send)

    return serve
