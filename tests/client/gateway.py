"""The product's own handlers behind httpx, over a store in memory: what a client sends comes to
them as API Gateway would bring it.

Answers are lost and connections refused here, at the wire; nothing of ours is replaced.
"""

import asyncio
import importlib
import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from billing.books import Books
from billing.clock import stamp
from billing.quota.balance import Balance
from billing.quota.ledger import Entry
from billing.spending import debits
from billing.storage.writes import Write
from functional.lab import Context, gateway_event
from functional.template import Template

URL: Final = "https://topup.example.com"
TOKEN: Final = "a-token-of-the-seller's-backend"
BACKEND: Final = {"sub": "backend", "scope": "quota.write"}
"""The claims of the seller's own service."""
_numbers: Final = itertools.count()
Fault = Callable[[Callable[[], httpx.Response]], httpx.Response]


def unreachable(_: Callable[[], httpx.Response]) -> httpx.Response:
    """No connection: the request never left."""
    raise httpx.ConnectError("refused")


def lost_before(_: Callable[[], httpx.Response]) -> httpx.Response:
    """The request was lost on its way."""
    raise httpx.ReadTimeout("no answer")


def lost_after(act: Callable[[], httpx.Response]) -> httpx.Response:
    """The service did it, and its answer was lost."""
    act()
    raise httpx.ReadTimeout("no answer")


def answers(status: int, body: object = None, **headers: str) -> Fault:
    """API Gateway answers by itself."""

    def fault(_: Callable[[], httpx.Response]) -> httpx.Response:
        return httpx.Response(
            status, json={"message": "by itself"} if body is None else body, headers=headers
        )

    return fault


def answers_html(status: int) -> Fault:
    """Something in front of the service answers, in a page for people."""

    def fault(_: Callable[[], httpx.Response]) -> httpx.Response:
        return httpx.Response(
            status,
            html=f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>",
        )

    return fault


@dataclass
class Gateway(httpx.BaseTransport):
    """One request at a time, for the store in memory bears no more.

    ``faults`` are taken one a request, None for none.
    """

    template: Template
    books: Books
    faults: list[Fault | None] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    requests: list[httpx.Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Find the routes once."""
        self._routes = self.template.routes()
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Meet the next fault, or the handler."""
        with self._lock:
            self.requests.append(request)
            self.calls[request.url.path.rpartition("/")[2]] += 1
            fault = self.faults.pop(0) if self.faults else None
            answer = fault(lambda: self._handled(request)) if fault else self._handled(request)
            answer.request = request
            return answer

    def key(self, user_id: str, limit: Mapping[str, object] | None = None) -> str:
        """Make an API key of this customer's, as the page does. Return its id."""
        body = {"name": "server"} if limit is None else {"name": "server", "limit": limit}
        made = self._as_user(user_id, "POST", "/keys", body)
        return str(made.json()["key_id"])

    def keys(self, user_id: str) -> list[Any]:
        """The customer's keys with their figures, as the page shows them."""
        found: list[Any] = self._as_user(user_id, "GET", "/keys").json()["keys"]
        return found

    def revoke(self, user_id: str, key_id: str) -> None:
        """As the page does."""
        self._as_user(user_id, "DELETE", f"/keys/{key_id}")

    def _as_user(self, user_id: str, method: str, path: str, body: object = None) -> httpx.Response:
        request = httpx.Request(
            method, f"{URL}/api/v1{path}", json=body, headers={"authorization": f"Bearer {TOKEN}"}
        )
        with self._lock:
            answer = self._handled(request, {"sub": user_id})
        assert answer.is_success, answer.text
        return answer

    def _handled(
        self, request: httpx.Request, claims: Mapping[str, str] = BACKEND
    ) -> httpx.Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return httpx.Response(401, json={"message": "Unauthorized"})
        for route in self._routes:
            if (parameters := route.match(request.method, request.url.path)) is not None:
                break
        else:
            return httpx.Response(404, json={"message": "Not Found"})
        event = gateway_event(
            route,
            request.url.path,
            parameters,
            dict(request.headers),
            request.read().decode() or None,
        )
        event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
        said: dict[str, Any] = importlib.import_module(route.handler).handler(event, Context())
        return httpx.Response(
            said["statusCode"], headers=said.get("headers"), content=said.get("body", "")
        )

    def fund(self, user_id: str, units: int) -> None:
        """Units without a purchase, with an operator's entry in the ledger."""
        account = Write("quotas", (user_id, "quota"), add={"remaining": units, "total": units})
        entry = Entry(
            user_id,
            f"adjusted:{next(_numbers)}",
            "adjusted",
            units,
            "operator",
            "test",
            stamp(self.books.clock()),
        )
        self.books.store.commit(account, entry.write())

    def quota(self, user_id: str = "alice") -> Balance:
        """As ``GET /quota`` reads it."""
        with self._lock:
            return debits.read(self.books, user_id)

    @property
    def service_calls(self) -> int:
        """All that were made."""
        return sum(self.calls.values())

    def bodies(self, path: str) -> list[Any]:
        """What was sent to addresses that end so."""
        return [
            json.loads(one.read() or b"null")
            for one in self.requests
            if one.url.path.endswith(path)
        ]


class AsyncGateway(httpx.AsyncBaseTransport):
    """The same for clients that await."""

    def __init__(self, gateway: Gateway) -> None:
        """Around a gateway."""
        self._gateway = gateway

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The way there takes a turn of the loop, and the way back another:
        others run meanwhile.
        """
        await request.aread()
        await asyncio.sleep(0)
        answer = self._gateway.handle_request(request)
        await asyncio.sleep(0)
        return answer
