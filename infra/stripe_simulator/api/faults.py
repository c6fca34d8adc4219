"""Faults that the control API puts into Stripe's API: refusals, slow answers, and answers that are lost on the way."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.stripe_simulator.api.errors import StripeFault

SILENCE_SECONDS_MAX: Final = 30.0
"""A lost answer keeps its connection no longer: clients that wait for ever must not pile up."""
SERVER_ERROR: Final = 500
TOO_MANY: Final = 429


@dataclass(slots=True)
class Fault:
    """Befalls the next ``times`` calls of a route.

    One of ``status``, ``silence_seconds`` and ``delay_seconds`` is not 0.
    """

    route: str
    times: int
    status: int = 0
    silence_seconds: float = 0
    delay_seconds: float = 0

    def told(self) -> dict[str, Any]:
        """As the control API shows it."""
        seconds = {"timeout": self.silence_seconds, "delay": self.delay_seconds}
        return {"route": self.route, "times": self.times, "status": self.status, **seconds}

    def as_answer(self) -> StripeFault:
        """https://docs.stripe.com/api/errors and https://docs.stripe.com/rate-limits."""
        if self.status == TOO_MANY:
            return StripeFault(
                TOO_MANY,
                "Request rate limit exceeded (a fault that was asked for).",
                code="rate_limit",
            )
        kind = "api_error" if self.status >= SERVER_ERROR else "invalid_request_error"
        return StripeFault(
            self.status, "A fault that was asked for.", kind=kind, began=self.status >= SERVER_ERROR
        )


class Faults:
    """The faults that are still to come."""

    def __init__(self) -> None:
        """None at first."""
        self._rows: dict[str, Fault] = {}

    def put(self, fault: Fault) -> None:
        """A later one for the same route replaces the earlier; ``times`` 0 takes it away."""
        self._rows[fault.route] = fault

    def take(self, request: Request) -> Fault | None:
        """The one that befalls this call, if any."""
        for fault in self._rows.values():
            if fault.times > 0 and _is_route(fault.route, request):
                fault.times -= 1
                return fault
        return None


def _is_route(route: str, request: Request) -> bool:
    """``{id}`` in a route stands for any id."""
    method, _, path = route.partition(" ")
    ours, theirs = path.split("/"), request.url.path.split("/")
    same = len(ours) == len(theirs) and all(
        part in ("{id}", other) for part, other in zip(ours, theirs, strict=False)
    )
    return same and method == request.method


class Silence(Response):
    """No answer: wait until the caller gives up, at most so long, then break the connection off."""

    def __init__(self, seconds: float) -> None:
        """``seconds`` at most."""
        super().__init__()
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI has no word for hanging up, so the server's own connection is closed under it."""
        del scope
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                return await _hung_up(receive)
        if transport := getattr(getattr(receive, "__self__", None), "transport", None):  # uvicorn's
            transport.close()
            return await _hung_up(receive)
        return await send(
            {
                "type": "http.response.start",
                "status": 504,
                "headers": [(b"content-length", b"1"), (b"connection", b"close")],
            }
        )


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
