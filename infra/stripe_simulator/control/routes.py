"""Defines the control API, which acts as buyers, sellers and banks, and plans faults.

Tests use it, and developers at a local stack.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.stripe_simulator.control.input import (
    BadInputError,
    Body,
    amount_in,
    behaviours_in,
    check_members,
    delivery_options_in,
    fault_in,
    keys_in,
    one_of,
    parse,
    whole_number,
)
from infra.stripe_simulator.errors import ConflictError, StripeFault
from infra.stripe_simulator.objects import disputes, methods, purchases, refunds, settling
from infra.stripe_simulator.simulator import Simulator

Act = Callable[[str, Body], Any]
"""Takes the id in the path ("" where there is none) and the body, and returns the answer."""
BAD_REQUEST, CONFLICT = 400, 409
REFUND_ACTS: Final = {
    "process": "pending",
    "succeed": "succeeded",
    "fail": "failed",
    "cancel": "canceled",
}


def routes(simulator: Simulator) -> list[Route]:
    """Return all routes under /_control."""
    panel = _Panel(simulator)
    acts: dict[str, Act] = {
        "sessions/{id}/pay": panel.pay,
        "sessions/{id}/settle": panel.settle,
        "sessions/{id}/expire": panel.expire,
        "payment_methods/{id}/behave": panel.behave,
        "payment_intents/{id}/settle": panel.settle_intent,
        **{f"refunds/{{id}}/{act}": panel.refund(status) for act, status in REFUND_ACTS.items()},
        "charges/{id}/dispute": panel.dispute,
        "disputes/{id}/withdraw": panel.withdraw,
        "disputes/{id}/reinstate": panel.reinstate,
        "disputes/{id}/close": panel.close,
        "events/{id}/resend": panel.resend,
        "events/{id}/twin": panel.twin,
        "deliveries": panel.set_deliveries,
        "faults": panel.put_fault,
        "clock": panel.advance_clock,
        "keys": panel.accept_keys,
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


def _endpoint(simulator: Simulator, act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            body = parse(await request.body())
            with simulator.store.transaction():
                found = act(request.path_params.get("id", ""), body)
        except BadInputError as error:
            return JSONResponse({"error": str(error)}, BAD_REQUEST)
        except ConflictError as error:
            return JSONResponse({"error": str(error)}, CONFLICT)
        except StripeFault as fault:
            status = CONFLICT if fault.status == BAD_REQUEST else fault.status
            return JSONResponse({"error": fault.message}, status)
        simulator.do_housekeeping()
        return JSONResponse(found)

    return endpoint


class _Panel:
    """Has the methods that carry out the routes of the control API, for one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator, self._world = simulator, simulator.world

    def pay(self, name: str, body: Body) -> Any:
        check_members(body, "method", "card")
        method = one_of(body, "method", "card", "declined", "delayed")
        card = str(body.get("card", ""))
        if card and method != "card":
            raise BadInputError("card goes with the method card")
        return purchases.pay(self._world, name, method, card)

    def settle(self, name: str, body: Body) -> Any:
        outcome = one_of(body, "outcome", "succeeded", "failed")
        return purchases.settle(self._world, name, outcome)

    def behave(self, name: str, body: Body) -> Any:
        return methods.script(self._world, name, behaviours_in(body))

    def settle_intent(self, name: str, body: Body) -> Any:
        outcome = one_of(body, "outcome", "succeeded", "failed")
        return settling.settle(self._world, name, outcome)

    def expire(self, name: str, body: Body) -> Any:
        check_members(body)
        return purchases.expire(self._world, name)

    def refund(self, status: str) -> Act:
        def change(name: str, body: Body) -> Any:
            check_members(body)
            return refunds.change_refund(self._world, name, status)

        return change

    def dispute(self, name: str, body: Body) -> Any:
        check_members(body, "kind", "amount", "withdraw")
        kind = one_of({"kind": "chargeback", **body}, "kind", "chargeback", "inquiry")
        withdraw = body.get("withdraw", True)
        if not isinstance(withdraw, bool):
            raise BadInputError(f"withdraw must be true or false, not {json.dumps(withdraw)}")
        amount = amount_in(body, "kind", "withdraw")
        return disputes.dispute(self._world, name, kind, amount, withdraw=withdraw)

    def withdraw(self, name: str, body: Body) -> Any:
        return disputes.withdraw_funds(self._world, name, amount_in(body))

    def reinstate(self, name: str, body: Body) -> Any:
        return disputes.reinstate_funds(self._world, name, amount_in(body))

    def close(self, name: str, body: Body) -> Any:
        status = one_of(body, "status", *disputes.CLOSED)
        return disputes.close_dispute(self._world, name, status)

    def resend(self, name: str, body: Body) -> Any:
        check_members(body)
        event = self._world.need("event", name)
        self._simulator.deliveries.post(event, again=True)
        return event

    def twin(self, name: str, body: Body) -> Any:
        check_members(body)
        return self._world.twin(name)

    def set_deliveries(self, _: str, body: Body) -> Any:
        options = delivery_options_in(body, self._simulator.deliveries.options)
        self._simulator.deliveries.options = options
        return asdict(options)

    def put_fault(self, _: str, body: Body) -> Any:
        fault = fault_in(body)
        self._simulator.faults.put(fault)
        return fault.as_answer()

    def advance_clock(self, _: str, body: Body) -> Any:
        check_members(body, "advance_seconds")
        seconds = whole_number(body.get("advance_seconds"), "advance_seconds")
        self._simulator.store.advance(seconds)
        return {"now": self._simulator.store.now()}

    def accept_keys(self, _: str, body: Body) -> Any:
        keys = keys_in(body)
        self._simulator.accept_keys(*keys)
        return {"accept": keys}

    async def attempts(self, _: Request) -> Response:
        return JSONResponse({"attempts": list(self._simulator.deliveries.attempts)})

    async def idle(self, _: Request) -> Response:
        return JSONResponse({"idle": await self._simulator.deliveries.idle()})
