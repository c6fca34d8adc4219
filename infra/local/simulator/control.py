"""The control API: what buyers and banks do, how webhooks travel, and what fails. For tests and for people at a stand."""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.simulator.errors import StripeFault
from infra.local.simulator.world import CLOSED, ConflictError

if TYPE_CHECKING:
    from infra.local.simulator.app import Simulator

Body = dict[str, Any]


class BadInputError(Exception):
    """The control was asked for something it does not know."""


def routes(simulator: "Simulator") -> list[Route]:
    """Everything under /_control."""
    panel = _Panel(simulator)
    posts: dict[str, Callable[[str, Body], Any]] = {
        "sessions/{id}/pay": lambda name, body: panel.world.pay(name, _one_of(body, "method", "card", "declined", "delayed")),
        "sessions/{id}/settle": lambda name, body: panel.world.settle(name, _one_of(body, "outcome", "succeeded", "failed")),
        "sessions/{id}/expire": lambda name, _: panel.world.expire_session(name),
        "refunds/{id}/fail": lambda name, _: panel.world.end_refund(name, "failed"),
        "refunds/{id}/succeed": lambda name, _: panel.world.end_refund(name, "succeeded"),
        "charges/{id}/dispute": panel.dispute,
        "disputes/{id}/withdraw": lambda name, body: panel.world.move_money(name, -panel.amount(name, body)),
        "disputes/{id}/reinstate": lambda name, body: panel.world.move_money(name, panel.amount(name, body)),
        "disputes/{id}/close": lambda name, body: panel.world.close_dispute(name, _one_of(body, "status", *CLOSED)),
        "events/{id}/resend": panel.resend,
        "events/{id}/twin": lambda name, _: panel.world.twin(name),
        "deliveries": panel.deliveries,
        "faults": panel.faults,
        "clock": panel.clock,
    }
    found = [Route(f"/_control/{path}", _endpoint(act), methods=["POST"]) for path, act in posts.items()]
    return [*found, Route("/_control/deliveries", panel.attempts, methods=["GET"]), Route("/_control/idle", panel.idle, methods=["POST"])]


def _endpoint(act: Callable[[str, Body], Any]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = json.loads(await request.body() or b"{}")
            if not isinstance(body, dict):
                raise BadInputError("the body must be a JSON object")
            return JSONResponse(act(request.path_params.get("id", ""), body))
        except (BadInputError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        except ConflictError as error:
            return JSONResponse({"error": str(error)}, 409)
        except StripeFault as fault:
            return JSONResponse({"error": fault.message}, 409 if fault.status == 400 else fault.status)  # noqa: PLR2004 - HTTP's own

    return endpoint


class _Panel:
    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator
        self.world = simulator.world

    def dispute(self, name: str, body: Body) -> Any:
        kind = _one_of({"kind": "chargeback", **body}, "kind", "chargeback", "inquiry")
        amount = body.get("amount", self.world.need("charge", name)["amount"])
        return self.world.dispute(name, kind, _whole(amount, "amount"), withdraw=bool(body.get("withdraw", True)))

    def amount(self, name: str, body: Body) -> int:
        return _whole(body.get("amount", self.world.need("dispute", name)["amount"]), "amount")

    def resend(self, name: str, _: Body) -> Any:
        event = self.world.need("event", name)
        self._simulator.courier.post(event)
        return event

    def deliveries(self, _: str, body: Body) -> Any:
        manners = self._simulator.courier.manners
        for name, value in body.items():
            if name in ("drop", "duplicate") and not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value <= 1:
                setattr(manners, name, value)
            elif name in ("reorder", "pause") and isinstance(value, bool):
                setattr(manners, name, value)
            else:
                raise BadInputError("expected drop and duplicate from 0 to 1, reorder and pause true or false")
        self._simulator.courier.release()
        return {"drop": manners.drop, "duplicate": manners.duplicate, "reorder": manners.reorder, "pause": manners.pause}

    def faults(self, _: str, body: Body) -> Any:
        from infra.local.simulator.app import SILENCE_SECONDS_MAX, Fault  # noqa: PLC0415 - app imports this module

        route, status, silence = body.get("route"), body.get("status", 0), body.get("timeout", 0)
        seconds = SILENCE_SECONDS_MAX if silence is True else silence or 0
        numbers = isinstance(status, int) and isinstance(seconds, int | float)
        if not isinstance(route, str) or " /v1/" not in route or not numbers or bool(status) == bool(seconds):
            raise BadInputError('expected {"route": "POST /v1/checkout/sessions", "status": 500 or "timeout": true, "times": 1}')
        fault = Fault(route, status, min(seconds, SILENCE_SECONDS_MAX), _whole(body.get("times", 1), "times"))
        self._simulator.faults = [other for other in self._simulator.faults if other.times > 0 and other.route != route]
        self._simulator.faults.append(fault)
        return {"route": route, "status": status, "timeout": seconds, "times": fault.times}

    def clock(self, _: str, body: Body) -> Any:
        drawers = self._simulator.drawers
        drawers.offset_seconds += _whole(body.get("advance_seconds"), "advance_seconds")
        drawers.note("clock", drawers.offset_seconds)
        return {"now": drawers.now()}

    async def attempts(self, _: Request) -> Response:
        return JSONResponse({"attempts": self._simulator.courier.attempts})

    async def idle(self, _: Request) -> Response:
        return JSONResponse({"idle": await self._simulator.courier.idle()})


def _one_of(body: Body, name: str, *allowed: str) -> str:
    value = body.get(name)
    if value not in allowed:
        message = f"{name} must be one of {', '.join(allowed)}"
        raise BadInputError(message)
    return str(value)


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        message = f"{name} must be a whole number"
        raise BadInputError(message)
    return value
