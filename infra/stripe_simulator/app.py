"""Builds the simulator's ASGI application: Stripe's API, the hosted page and the control API.

Each API call passes authentication, its idempotency key and the planned faults.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.stripe_simulator.api import forms, hooks, idempotency, rest
from infra.stripe_simulator.api.authentication import authenticate
from infra.stripe_simulator.api.endpoint import Endpoint
from infra.stripe_simulator.api.faults import Fault, Silence
from infra.stripe_simulator.api.idempotency import Answer
from infra.stripe_simulator.control import checkout_page, routes, stripe_cli
from infra.stripe_simulator.errors import StripeFault
from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.objects.world import ASKED_BY
from infra.stripe_simulator.settings import Settings
from infra.stripe_simulator.simulator import Simulator

FORM: Final = "application/x-www-form-urlencoded"
BODY_BYTES_MAX: Final = 1 << 20
HOUSEKEEPING_SECONDS: Final = 1.0
"""How often housekeeping runs. Stripe's times are in whole seconds, so a shorter period would
change nothing.
"""
METHODS: Final = ("GET", "POST", "DELETE", "PUT", "PATCH")


def create_app(settings: Settings) -> Starlette:
    """Return the application of a new simulator."""
    simulator = Simulator(
        settings.base_url,
        settings.secret_key,
        settings.state_file,
        api_version=settings.api_version,
        timing=settings.timing,
    )
    simulator.deliver_to(*settings.webhooks)
    return application(simulator)


def application(simulator: Simulator) -> Starlette:
    """Return the application that serves ``simulator``.

    The simulator's background work runs while the application runs. When the application stops, it
    closes the simulator.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        simulator.deliveries.start()
        housekeeping = asyncio.create_task(_repeat_housekeeping(simulator))
        yield
        housekeeping.cancel()
        closing = simulator.deliveries.close()
        await asyncio.gather(housekeeping, closing, return_exceptions=True)
        simulator.store.close()

    found = [
        *stripe_cli.routes(simulator),
        Route("/v1/{path:path}", _Api(simulator).call, methods=METHODS),
        *checkout_page.routes(simulator.world),
        *routes.routes(simulator),
    ]
    return Starlette(routes=found, lifespan=lifespan)


async def _repeat_housekeeping(simulator: Simulator) -> None:
    while True:
        simulator.do_housekeeping()
        await asyncio.sleep(HOUSEKEEPING_SECONDS)


@dataclass(frozen=True, slots=True)
class _Call:
    """Holds one call of the simulated Stripe API.

    ``key`` is the idempotency key and ``asked`` a hash of the path and parameters. Both are "" for
    a call without a key.
    """

    endpoint: Endpoint
    name: str
    text: str
    key: str
    asked: str
    request_id: str


class _Api:
    """Handles requests to Stripe's API under /v1, for one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._world, self._answers = simulator.world, simulator.answers

    async def call(self, request: Request) -> Response:
        """Answer one call of the API, with the result or with Stripe's error."""
        request_id = new_id("request")
        version = request.headers.get("stripe-version", self._world.api_version)
        headers = {"request-id": request_id, "stripe-version": version}
        if key := request.headers.get("idempotency-key"):
            headers["idempotency-key"] = key
        try:
            authenticate(request, self._simulator.secret_keys, self._world.api_version)
            answer = await self._answer(request, request_id)
        except StripeFault as fault:
            return JSONResponse(fault.body(request_id), fault.status, headers)
        if isinstance(answer, Silence):
            return answer
        if key and answer.request_id != request_id:
            headers |= {"idempotent-replayed": "true", "original-request": answer.request_id}
        return JSONResponse(answer.content, answer.status, headers)

    async def _answer(self, request: Request, request_id: str) -> Answer | Silence:
        call = await _read(request, request_id)
        ASKED_BY.set({"id": request_id, "idempotency_key": call.key or None})
        with self._answers.in_progress(call.key) if call.key else nullcontext():
            kept = self._answers.find(call.key, call.asked) if call.key else None
            found = self._simulator.faults.take(request, is_replay=kept is not None)
            fault = found or Fault("", 0)
            if fault.delay_seconds:
                await asyncio.sleep(fault.delay_seconds)  # the planned fault: a slow Stripe
            try:
                answer = kept or self._act(call, fault)
            except StripeFault:
                if fault.loses_answer:
                    return _lose(fault)
                raise
        return _lose(fault) if fault.loses_answer else answer

    def _act(self, call: _Call, fault: Fault) -> Answer:
        """Carry out the call, and return its answer.

        The call's changes and the answer under its idempotency key are written in one transaction.
        ``fault`` is the failure that is planned for this call. If it is a refusal, nothing is done.
        Raises StripeFault for that, and for any other error that leaves no changes.
        """
        try:
            if fault.is_refusal:
                raise fault.refusal()
            with self._simulator.store.transaction():
                answer = self._carry_out(call)
                if call.key:
                    self._answers.keep(call.key, call.asked, answer)
        except StripeFault as refusal:
            if call.key and refusal.began:
                body = refusal.body(call.request_id)
                kept = Answer(refusal.status, body, call.request_id)
                self._answers.keep(call.key, call.asked, kept)
            raise
        if call.endpoint.path.startswith(hooks.HOOKS):
            self._simulator.refresh_targets()
        return answer

    def _carry_out(self, call: _Call) -> Answer:
        """Carry out the call, and return its answer.

        A decline is an answer too, so that the failed charge and its events are kept. Any other
        error is raised as StripeFault.
        """
        try:
            content = rest.answer(self._world, call.endpoint, call.name, call.text)
        except StripeFault as refusal:
            if not refusal.is_effect:
                raise
            return Answer(refusal.status, refusal.body(call.request_id), call.request_id)
        return Answer(200, content, call.request_id)


def _lose(fault: Fault) -> Silence:
    """Return a response that sends nothing, as if the real answer had been lost on its way.

    If the fault has a status, raises that error instead. A retry with the same idempotency key gets
    the real answer.
    """
    if fault.status:
        raise fault.refusal()
    return Silence(fault.silence_seconds)


async def _read(request: Request, request_id: str) -> _Call:
    """Return the request's endpoint, id in the path, encoded parameters and idempotency key.

    Raises StripeFault for an unknown route or a malformed request.
    """
    endpoint, name = rest.find(request.method, request.url.path)
    text = await _text(request)
    key = ""
    if request.method == "POST":
        key = idempotency.checked(request.headers.get("idempotency-key", ""))
    asked = idempotency.fingerprint(request.url.path, forms.parse(text)) if key else ""
    return _Call(endpoint, name, text, key, asked, request_id)


async def _text(request: Request) -> str:
    """Return the encoded parameters: the body of a POST, the query of any other method."""
    if request.method != "POST":
        return request.url.query
    body = await request.body()
    if len(body) > BODY_BYTES_MAX:
        raise StripeFault(413, f"The request body may have at most {BODY_BYTES_MAX} bytes.")
    kind = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if body and kind != FORM:
        message = f"Invalid request (check that your POST content type is {FORM}, not {kind})."
        raise StripeFault(400, message)
    return body.decode("utf-8", "replace")
