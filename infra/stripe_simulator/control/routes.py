"""The control API: what buyers and banks do, how webhooks travel, and what fails.

For tests and for people at a stand.
"""

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.stripe_simulator.api import rest
from infra.stripe_simulator.api.errors import ConflictError, StripeFault
from infra.stripe_simulator.api.faults import SILENCE_SECONDS_MAX, Fault
from infra.stripe_simulator.objects import purchases, reversals

if TYPE_CHECKING:
    from infra.stripe_simulator.api.app import Simulator

Body = dict[str, Any]
Act = Callable[[str, Body], Any]
BAD_REQUEST, CONFLICT, STATUS_MAX = 400, 409, 599
REFUND_ACTS: Final = {
    "process": "pending",
    "succeed": "succeeded",
    "fail": "failed",
    "cancel": "canceled",
}
FAULT_SHAPE: Final = '{"route": "POST /v1/checkout/sessions", "times": 1} with one of "status": 400 to 599, "timeout": true or seconds, "delay": seconds'


class BadInputError(Exception):
    """The control was asked for something it does not know."""


def routes(simulator: "Simulator") -> list[Route]:
    """Everything under /_control."""
    panel, world = _Panel(simulator), simulator.world
    acts: dict[str, Act] = {
        "sessions/{id}/pay": lambda name, body: purchases.pay(
            world, name, _one_of(body, "method", "card", "declined", "delayed")
        ),
        "sessions/{id}/settle": lambda name, body: purchases.settle(
            world, name, _one_of(body, "outcome", "succeeded", "failed")
        ),
        "sessions/{id}/expire": lambda name, body: purchases.expire(world, _only(body, name)),
        **{f"refunds/{{id}}/{act}": panel.refund(status) for act, status in REFUND_ACTS.items()},
        "charges/{id}/dispute": panel.dispute,
        "disputes/{id}/withdraw": lambda name, body: reversals.withdraw_funds(
            world, name, _amount(body)
        ),
        "disputes/{id}/reinstate": lambda name, body: reversals.reinstate_funds(
            world, name, _amount(body)
        ),
        "disputes/{id}/close": lambda name, body: reversals.close_dispute(
            world, name, _one_of(body, "status", *reversals.CLOSED)
        ),
        "events/{id}/resend": panel.resend,
        "events/{id}/twin": lambda name, body: world.twin(_only(body, name)),
        "deliveries": panel.deliveries,
        "faults": panel.faults,
        "clock": panel.clock,
        "keys": panel.keys,
    }
    found = [
        Route(f"/_control/{path}", _endpoint(simulator, act), methods=["POST"])
        for path, act in acts.items()
    ]
    return [
        *found,
        Route("/_control/deliveries", panel.attempts, methods=["GET"]),
        Route("/_control/idle", panel.idle, methods=["POST"]),
    ]


def _endpoint(simulator: "Simulator", act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = _object(await request.body())
            with simulator.drawers.transaction():
                found = act(request.path_params.get("id", ""), body)
        except BadInputError as error:
            return JSONResponse({"error": str(error)}, BAD_REQUEST)
        except ConflictError as error:
            return JSONResponse({"error": str(error)}, CONFLICT)
        except StripeFault as fault:
            return JSONResponse(
                {"error": fault.message}, CONFLICT if fault.status == BAD_REQUEST else fault.status
            )
        simulator.chores()
        return JSONResponse(found)

    return endpoint


class _Panel:
    """The acts that need more than the world."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator

    def dispute(self, name: str, body: Body) -> Any:
        _only(body, "", "kind", "amount", "withdraw")
        kind, withdraw = (
            _one_of({"kind": "chargeback", **body}, "kind", "chargeback", "inquiry"),
            body.get("withdraw", True),
        )
        if not isinstance(withdraw, bool):
            raise BadInputError(f"withdraw must be true or false, not {json.dumps(withdraw)}")
        return reversals.dispute(
            self._simulator.world, name, kind, _amount(body, "kind", "withdraw"), withdraw=withdraw
        )

    def refund(self, status: str) -> Act:
        return lambda name, body: reversals.change_refund(
            self._simulator.world, _only(body, name), status
        )

    def resend(self, name: str, body: Body) -> Any:
        event = self._simulator.world.need("event", _only(body, name))
        self._simulator.courier.post(event, again=True)
        return event

    def deliveries(self, _: str, body: Body) -> Any:
        manners = self._simulator.courier.manners
        for name, value in body.items():
            chance = name in ("drop", "duplicate") and _is_number(value) and 0 <= value <= 1
            if not chance and not (name in ("reorder", "pause") and isinstance(value, bool)):
                told = 'expected any of {"drop": 0 to 1, "duplicate": 0 to 1, "reorder": true or false, "pause": true or false}'
                raise BadInputError(f"{told}, not {json.dumps({name: value})}")
        for name, value in body.items():
            setattr(manners, name, value)
        return {
            "drop": manners.drop,
            "duplicate": manners.duplicate,
            "reorder": manners.reorder,
            "pause": manners.pause,
        }

    def faults(self, _: str, body: Body) -> Any:
        fault = _fault(body)
        self._simulator.faults.put(fault)
        return fault.told()

    def clock(self, _: str, body: Body) -> Any:
        _only(body, "", "advance_seconds")
        self._simulator.drawers.advance(_whole(body.get("advance_seconds"), "advance_seconds"))
        return {"now": self._simulator.drawers.now()}

    def keys(self, _: str, body: Body) -> Any:
        _only(body, "", "accept")
        accept = body.get("accept")
        if (
            not isinstance(accept, list)
            or not accept
            or not all(isinstance(key, str) and key.strip() for key in accept)
        ):
            raise BadInputError(
                f'expected {{"accept": ["sk_test_...", ...]}} with at least one key, not {json.dumps(accept)}'
            )
        self._simulator.accept_keys(*accept)
        return {"accept": accept}

    async def attempts(self, _: Request) -> Response:
        return JSONResponse({"attempts": list(self._simulator.courier.attempts)})

    async def idle(self, _: Request) -> Response:
        return JSONResponse({"idle": await self._simulator.courier.idle()})


def _object(text: bytes) -> Body:
    try:
        body = json.loads(text or b"{}")
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"the body must be JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadInputError("the body must be a JSON object")
    return body


def _fault(body: Body) -> Fault:
    _only(body, "", "route", "times", "status", "timeout", "delay")
    route, times = body.get("route"), _whole(body.get("times", 1), "times")
    if not isinstance(route, str):
        raise BadInputError(f"expected {FAULT_SHAPE}")
    try:
        rest.find(*(route.replace("{id}", "any").split(" ", 1) if " " in route else (route, "")))
    except StripeFault as unknown:
        known = ", ".join(f"{endpoint.method} {endpoint.path}" for endpoint in rest.ENDPOINTS)
        raise BadInputError(f"there is no route {route}; known are {known}") from unknown
    silence = body.get("timeout", 0)
    silence = SILENCE_SECONDS_MAX if silence is True else silence
    kinds = (body.get("status", 0), silence, body.get("delay", 0))
    if (
        not all(_is_number(kind) and kind >= 0 for kind in kinds)
        or sum(kind > 0 for kind in kinds) != 1
    ):
        raise BadInputError(f"expected {FAULT_SHAPE}")
    if kinds[0] and not (isinstance(kinds[0], int) and BAD_REQUEST <= kinds[0] <= STATUS_MAX):
        raise BadInputError(f"expected {FAULT_SHAPE}")
    return Fault(
        route,
        times,
        kinds[0],
        min(silence, SILENCE_SECONDS_MAX),
        min(kinds[2], SILENCE_SECONDS_MAX),
    )


def _one_of(body: Body, name: str, *allowed: str) -> str:
    value = body.get(name)
    if value not in allowed:
        raise BadInputError(f"{name} must be one of {', '.join(allowed)}, not {json.dumps(value)}")
    return str(value)


def _only(body: Body, name: str, *allowed: str) -> str:
    """Nothing but these may stand in the body."""
    if others := [key for key in body if key not in allowed]:
        raise BadInputError(
            f"{others[0]} is not known here; known: {', '.join(allowed) or 'nothing, the body may be empty'}"
        )
    return name


def _amount(body: Body, *beside: str) -> int | None:
    _only(body, "", "amount", *beside)
    return _whole(body["amount"], "amount") if "amount" in body else None


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadInputError(f"{name} must be a whole number of 0 or more, not {json.dumps(value)}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
