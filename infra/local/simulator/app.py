"""The simulator as an ASGI application: authentication, idempotency and faults around the API; the page and the control beside it."""

import asyncio
import base64
import binascii
import hashlib
import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.local.simulator import control, forms, hosted, rest
from infra.local.simulator.courier import Courier, WebhookTarget
from infra.local.simulator.drawers import Drawers, new_id
from infra.local.simulator.errors import StripeFault
from infra.local.simulator.world import API_VERSION, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Simulator", "WebhookTarget"]
IDEMPOTENCY_SECONDS: Final = 24 * 3600
KEY_CHARS_MAX: Final = 255
SILENCE_SECONDS_MAX: Final = 30
SERVER_ERROR: Final = 500


@dataclass(slots=True)
class Fault:
    """Makes a route fail ``times`` times: with ``status``, or with silence after the act."""

    route: str
    status: int
    silence_seconds: float
    times: int


class Simulator:
    """One account at Stripe, in test mode."""

    def __init__(self, base_url: str, secret_key: str, file: Path | str = ":memory:") -> None:
        """``base_url`` is where the application will be found, ``file`` where its objects are kept."""
        self.base_url, self.secret_key = base_url, secret_key
        self.drawers = Drawers(file)
        self.courier = Courier(self.drawers)
        self.world = World(self.drawers, self.courier, base_url)
        self.faults: list[Fault] = []
        self._given: list[WebhookTarget] = []
        self._busy: set[str] = set()
        self.refresh_targets()

    def deliver_to(self, *targets: WebhookTarget) -> None:
        """The endpoints that are there from the start; those made by the API come on top."""
        self._given = list(targets)
        self.refresh_targets()

    def refresh_targets(self) -> None:
        """Endpoints may have been made, changed or deleted."""
        made = [
            WebhookTarget(row["url"], self.drawers.note(f"secret:{row['id']}"), events=tuple(row["enabled_events"]), endpoint_id=row["id"])
            for row in self.drawers.newest_first("webhook_endpoint")
            if row["status"] == "enabled"
        ]
        self.courier.targets = [*self._given, *made]

    def app(self) -> Starlette:
        """The application; its background work lives as long as its lifespan."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> "AsyncIterator[None]":
            yield
            await self.courier.close()

        routes = [
            Route("/v1/{path:path}", self.api, methods=["GET", "POST", "DELETE", "PUT", "PATCH"]),
            *hosted.routes(self.world),
            *control.routes(self),
        ]
        return Starlette(routes=routes, lifespan=lifespan)

    async def api(self, request: Request) -> Response:
        """One call of Stripe's API."""
        request_id = f"req_{secrets.token_hex(7)}"
        body = (await request.body()).decode("utf-8", "replace")
        try:
            self._authenticate(request)
            status, content, replayed = await self._idempotent(request, body)
        except StripeFault as fault:
            status, content, replayed = fault.status, fault.body(request_id), False
        headers = {"request-id": request_id, "stripe-version": request.headers.get("stripe-version", API_VERSION)}
        if key := request.headers.get("idempotency-key"):
            headers |= {"idempotency-key": key, "original-request": request_id}
        if replayed:
            headers["idempotent-replayed"] = "true"
        return JSONResponse(content, status, headers)

    async def _idempotent(self, request: Request, body: str) -> tuple[int, dict[str, Any], bool]:
        """https://docs.stripe.com/api/idempotent_requests: results are kept, 500s too; refusals and conflicts are not."""
        key = request.headers.get("idempotency-key", "") if request.method == "POST" else ""
        if len(key) > KEY_CHARS_MAX:
            raise StripeFault(400, "Idempotency keys have at most 255 characters", kind="idempotency_error")
        if not key:
            return (*await self._act(request, body), False)
        asked = hashlib.sha256(f"{request.url.path}?{json.dumps(forms.parse(body), sort_keys=True)}".encode()).hexdigest()
        kept = self.drawers.note(f"key:{key}")
        if kept and kept["made"] + IDEMPOTENCY_SECONDS > self.drawers.now():
            if kept["asked"] != asked:
                message = "Keys for idempotent requests can only be used with the same parameters they were first used with."
                raise StripeFault(
                    400,
                    f"{message} Try using a key other than '{key}' if you meant to execute a different request.",
                    kind="idempotency_error",
                )
            return kept["status"], kept["content"], True
        if key in self._busy:
            message = f"There is currently another in-progress request using this Idempotent Key ({key})."
            raise StripeFault(409, message, code="idempotency_key_in_use", kind="idempotency_error")
        self._busy.add(key)
        try:
            status, content = await self._act(request, body, key, asked)
        finally:
            self._busy.discard(key)
        return status, content, False

    async def _act(self, request: Request, body: str, key: str = "", asked: str = "") -> tuple[int, dict[str, Any]]:
        endpoint, name = rest.find(request.method, request.url.path)
        fault = self._fault(request)
        if fault and fault.status:
            status, content = fault.status, StripeFault(fault.status, "An injected fault.", kind="api_error").body("req_injected")
        else:
            params = forms.parse(body if request.method != "GET" else request.url.query)
            status, content = 200, rest.answer(self.world, endpoint, name, params)
            content = self._made_endpoint(content) if endpoint.method == "POST" and content["object"] == "webhook_endpoint" else content
            self.refresh_targets()
        if key and (status == 200 or status >= SERVER_ERROR):  # noqa: PLR2004 - HTTP's own
            self.drawers.note(f"key:{key}", {"asked": asked, "status": status, "content": content, "made": self.drawers.now()})
        if fault and fault.silence_seconds:
            await asyncio.sleep(fault.silence_seconds)
            return 504, StripeFault(504, "The answer was lost.", kind="api_error").body("req_lost")
        return status, content

    def _made_endpoint(self, content: dict[str, Any]) -> dict[str, Any]:
        """The signing secret is shown when the endpoint is made, and never again."""
        note = f"secret:{content['id']}"
        if self.drawers.note(note):
            return content
        return {**content, "secret": self.drawers.note(note, f"whsec_{new_id('product')}{secrets.token_hex(9)}")}

    def _fault(self, request: Request) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and _is_route(fault.route, request):
                fault.times -= 1
                return fault
        return None

    def _authenticate(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given).decode().split(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                given = ""
        if not given:
            raise StripeFault(401, "You did not provide an API key. You need to provide your API key in the Authorization header.")
        if not secrets.compare_digest(given.strip().encode(), self.secret_key.encode()):
            raise StripeFault(401, f"Invalid API Key provided: {given[:8]}****", code="api_key_invalid")


def _is_route(route: str, request: Request) -> bool:
    """``POST /v1/checkout/sessions``; ``{id}`` stands for any id."""
    method, _, path = route.partition(" ")
    theirs, ours = request.url.path.split("/"), path.split("/")
    same = len(theirs) == len(ours) and all(part.startswith("{") or part == other for part, other in zip(ours, theirs, strict=False))
    return method == request.method and same
