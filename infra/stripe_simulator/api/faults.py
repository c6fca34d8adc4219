"""Simulates faults of Stripe's API: refusals, slow answers, and lost answers."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.stripe_simulator.errors import StripeFault

SILENCE_SECONDS_MAX: Final = 30.0
"""The longest time that a lost answer keeps its connection open."""
SERVER_ERROR: Final = 500
TOO_MANY: Final = 429


@dataclass(slots=True)
class Fault:
    """Plans how the next ``times`` calls of a route fail, for example of ``POST /v1/refunds``.

    If ``after`` is false, exactly one of these is above 0:

    - ``status``: the call is refused with this HTTP status.
    - ``silence_seconds``: the call is carried out, but gets no answer, and the connection closes
      after this time.
    - ``delay_seconds``: the call is carried out this much later.

    If ``after`` is true, the call is carried out and its answer is lost. The caller gets ``status``
    instead, or if that is 0, the connection closes after ``silence_seconds``.
    """

    route: str
    times: int
    status: int = 0
    silence_seconds: float = 0
    delay_seconds: float = 0
    after: bool = False

    @property
    def is_refusal(self) -> bool:
        """Return whether this fault answers the call with an error before anything is done."""
        return bool(self.status) and not self.after

    @property
    def loses_answer(self) -> bool:
        """Return whether the call is carried out, and its answer does not arrive."""
        return self.after or self.silence_seconds > 0

    def as_answer(self) -> dict[str, Any]:
        """Return the fault as the control API shows it."""
        seconds = {"timeout": self.silence_seconds, "delay": self.delay_seconds}
        what = {"route": self.route, "times": self.times, "status": self.status}
        return {**what, **seconds, "after": self.after}

    def refusal(self) -> StripeFault:
        """Return Stripe's error answer for ``status``.

        https://docs.stripe.com/api/errors and https://docs.stripe.com/rate-limits
        """
        if self.status == TOO_MANY:
            message = "Request rate limit exceeded (a planned fault)."
            return StripeFault(TOO_MANY, message, code="rate_limit")
        began = self.status >= SERVER_ERROR
        kind = "api_error" if began else "invalid_request_error"
        return StripeFault(self.status, "A planned fault.", kind=kind, began=began)


class Faults:
    """Holds the failures that a test has planned, at most one for each route."""

    def __init__(self) -> None:
        """Start without faults."""
        self._rows: dict[str, Fault] = {}

    def put(self, fault: Fault) -> None:
        """Plan a fault. It replaces an earlier fault of the same route.

        A fault with ``times`` 0 only removes the earlier one.
        """
        self._rows[fault.route] = fault

    def take(self, request: Request, *, is_replay: bool = False) -> Fault | None:
        """Return the fault that is planned for this call, or None.

        Also counts down the fault's ``times``: how many more calls it strikes. A replay of a stored
        response can be lost like any other, but is never refused.
        """
        for fault in self._rows.values():
            if is_replay and fault.is_refusal:
                continue
            if fault.times > 0 and _is_route(fault.route, request):
                fault.times -= 1
                return fault
        return None


def _is_route(route: str, request: Request) -> bool:
    """Return whether the call is one of this route. ``{id}`` in a route matches any id."""
    method, _, path = route.partition(" ")
    ours, theirs = path.split("/"), request.url.path.split("/")
    if method != request.method or len(ours) != len(theirs):
        return False
    return all(part in ("{id}", other) for part, other in zip(ours, theirs, strict=True))


class Silence(Response):
    """A response that sends nothing.

    It waits for a disconnect or its deadline, then disconnects.
    """

    def __init__(self, seconds: float) -> None:
        """``seconds`` is the longest wait for the caller to disconnect."""
        super().__init__()
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait, then close the connection.

        The server's own transport is closed, because ASGI has no message for that.
        """
        del scope
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                return await _wait_for_disconnect(receive)
        cycle = getattr(receive, "__self__", None)  # uvicorn's
        if transport := getattr(cycle, "transport", None):
            transport.close()
            return await _wait_for_disconnect(receive)
        headers = [(b"content-length", b"1"), (b"connection", b"close")]
        return await send({"type": "http.response.start", "status": 504, "headers": headers})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
