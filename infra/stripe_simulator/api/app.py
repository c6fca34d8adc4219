"""The simulator as an ASGI application: authentication, idempotency and faults around the API; the page and the control beside it."""

import asyncio
import base64
import binascii
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.stripe_simulator.api import forms, idempotency, rest
from infra.stripe_simulator.api.errors import StripeFault
from infra.stripe_simulator.api.faults import Fault, Faults, Silence
from infra.stripe_simulator.api.idempotency import Answer, Answers
from infra.stripe_simulator.control import checkout_page, routes
from infra.stripe_simulator.deliveries import stripe_cli
from infra.stripe_simulator.deliveries.sender import Courier
from infra.stripe_simulator.objects import purchases
from infra.stripe_simulator.objects.ids import new_id
from infra.stripe_simulator.objects.store import Drawers
from infra.stripe_simulator.objects.world import ASKED_BY, World
from infra.stripe_simulator.settings import API_VERSION, Settings, Timing, WebhookTarget

__all__ = ["Settings", "Simulator", "Timing", "WebhookTarget", "create_app"]
FORM: Final = "application/x-www-form-urlencoded"
BODY_BYTES_MAX: Final = 1 << 20
HOUSEKEEPING_SECONDS: Final = 1.0
_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?(; ?[a-z_0-9=; ]+)?")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API.

    ``key`` and ``asked``, what its parameters come to, are "" without an idempotency key.
    """

    endpoint: rest.Endpoint
    name: str
    text: str
    key: str
    asked: str
    request_id: str


def create_app(settings: Settings) -> Starlette:
    """The application of a new simulator.

    Its background work lives as long as its lifespan, and ends with it.
    """
    made = Simulator(
        settings.base_url,
        settings.secret_key,
        settings.state_file,
        api_version=settings.api_version,
        timing=settings.timing,
    )
    made.deliver_to(*settings.webhooks)
    return made.app()


class Simulator:
    """One account at Stripe, in test mode."""

    def __init__(
        self,
        base_url: str,
        secret_key: str,
        file: Path | str = ":memory:",
        *,
        api_version: str = API_VERSION,
        timing: Timing | None = None,
    ) -> None:
        """``base_url`` is where the application will be found, ``file`` where its objects are kept."""
        timing = timing or Timing()
        self.drawers = Drawers(file, timing.clock)
        self.courier = Courier(self.drawers, timing)
        self.world = World(self.drawers, self.courier, base_url, api_version)
        self.faults = Faults()
        self._secret_keys: tuple[str, ...] = (secret_key,)
        self._answers = Answers(self.drawers)
        self._given: tuple[WebhookTarget, ...] = ()
        self._refresh_targets()

    def deliver_to(self, *targets: WebhookTarget) -> None:
        """The endpoints that are there from the start; those made by the API come on top."""
        self._given = targets
        self._refresh_targets()

    def accept_keys(self, *secret_keys: str) -> None:
        """These count from now on, until the simulator stops: the old one and the new one while a key is being rolled.

        https://docs.stripe.com/keys#rolling-keys
        """
        self._secret_keys = secret_keys

    def app(self) -> Starlette:
        """The application. Once its lifespan has ended the simulator is closed."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            self.courier.start()
            chores = asyncio.create_task(self._keep_house())
            yield
            chores.cancel()
            await asyncio.gather(chores, self.courier.close(), return_exceptions=True)
            self.drawers.close()

        api = Route("/v1/{path:path}", self.api, methods=["GET", "POST", "DELETE", "PUT", "PATCH"])
        return Starlette(
            routes=[
                *stripe_cli.routes(self, self._authenticate),
                api,
                *checkout_page.routes(self.world),
                *routes.routes(self),
            ],
            lifespan=lifespan,
        )

    def chores(self) -> None:
        """What time brings: sessions expire, keys and deliveries grow too old."""
        purchases.expire_overdue(self.world)
        self._answers.prune()
        self.courier.postbag.give_up_old()
        self.courier.wake()

    async def _keep_house(self) -> None:
        while True:
            self.chores()
            await asyncio.sleep(
                HOUSEKEEPING_SECONDS
            )  # expiry is by the second at best: times have no more digits

    async def api(self, request: Request) -> Response:
        """One call of Stripe's API."""
        request_id = new_id("request")
        headers = {
            "request-id": request_id,
            "stripe-version": request.headers.get("stripe-version", self.world.api_version),
        }
        if key := request.headers.get("idempotency-key"):
            headers["idempotency-key"] = key
        try:
            self._authenticate(request)
            answer = await self._answer(request, request_id)
        except StripeFault as fault:
            return JSONResponse(fault.body(request_id), fault.status, headers)
        if isinstance(answer, Silence):
            return answer
        if key and answer.request_id != request_id:
            headers |= {"idempotent-replayed": "true", "original-request": answer.request_id}
        return JSONResponse(answer.content, answer.status, headers)

    async def _answer(self, request: Request, request_id: str) -> Answer | Silence:
        endpoint, name = rest.find(request.method, request.url.path)
        text = await _text(request)
        key = (
            idempotency.checked(request.headers.get("idempotency-key", ""))
            if request.method == "POST"
            else ""
        )
        asked = idempotency.fingerprint(request.url.path, forms.parse(text)) if key else ""
        call = Call(endpoint, name, text, key, asked, request_id)
        ASKED_BY.set({"id": request_id, "idempotency_key": key or None})
        with self._answers.in_progress(key) if key else nullcontext():
            if key and (kept := self._answers.find(key, asked)):
                return kept
            fault = self.faults.take(request) or Fault("", 0)
            if fault.delay_seconds:
                await asyncio.sleep(fault.delay_seconds)  # a slow Stripe, as asked for
            answer = self._act(call, fault)
        return Silence(fault.silence_seconds) if fault.silence_seconds else answer

    def _act(self, call: Call, fault: Fault) -> Answer:
        """The act and the answer kept for it are written together."""
        try:
            if fault.status:
                raise fault.as_answer()
            with self.drawers.transaction():
                answer = Answer(
                    200,
                    rest.answer(self.world, call.endpoint, call.name, call.text),
                    call.request_id,
                )
                if call.key:
                    self._answers.keep(call.key, call.asked, answer)
        except StripeFault as refusal:
            if call.key and refusal.began:
                self._answers.keep(
                    call.key,
                    call.asked,
                    Answer(refusal.status, refusal.body(call.request_id), call.request_id),
                )
            raise
        if call.endpoint.path.startswith(rest.HOOKS):
            self._refresh_targets()
        return answer

    def _refresh_targets(self) -> None:
        """Endpoints may have been made, changed or deleted."""
        rows = list(self.drawers.newest_first("webhook_endpoint"))
        made = [
            WebhookTarget(
                row["url"],
                self.drawers.note(f"secret:{row['id']}"),
                events=tuple(row["enabled_events"]),
                endpoint_id=row["id"],
            )
            for row in rows
            if row["status"] == "enabled"
        ]
        self.courier.disabled = frozenset(row["id"] for row in rows if row["status"] != "enabled")
        self.courier.targets = {target.name: target for target in (*self._given, *made)}
        self.courier.wake()

    def _authenticate(self, request: Request) -> None:
        """https://docs.stripe.com/api/authentication:

        Bearer, or Basic with the key as the user's name.
        """
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            given = _user_name(given)
        if scheme.lower() not in ("basic", "bearer") or not given.strip():
            told = "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth"
            raise StripeFault(401, f"{told} (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').")
        if not any(
            secrets.compare_digest(given.strip().encode(), key.encode())
            for key in self._secret_keys
        ):
            raise StripeFault(401, f"Invalid API Key provided: {given.strip()[:8]}****")
        version = request.headers.get("stripe-version", "")
        if version and not _VERSION.fullmatch(version):
            raise StripeFault(
                400,
                f"Invalid Stripe API version: {version}. It reads as {self.world.api_version} does.",
            )


def _user_name(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


async def _text(request: Request) -> str:
    """The parameters as they came: in the body of a POST, in the query otherwise."""
    if request.method != "POST":
        return request.url.query
    body = await request.body()
    if len(body) > BODY_BYTES_MAX:
        raise StripeFault(413, f"The request body may have at most {BODY_BYTES_MAX} bytes.")
    kind = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if body and kind != FORM:
        raise StripeFault(
            400, f"Invalid request (check that your POST content type is {FORM}, not {kind})."
        )
    return body.decode("utf-8", "replace")
