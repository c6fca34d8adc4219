import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest
from client.gateway import Gateway, lost_before
from functional.lab import SITE
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from topup_client import AsyncLeases, AsyncMeter, Meter, QuotaMiddleware, header_user

KEYS: Mapping[str, str] = {"key of alice": "alice"}
USER = header_user("x-api-key", KEYS.get)


async def _hello(request: Request) -> PlainTextResponse:
    """An API's answer."""
    return PlainTextResponse(f"hello from {request.url.path}")


async def _echo(socket: WebSocket) -> None:
    """An API's socket."""
    await socket.accept()
    await socket.close()


def _app(spender: Any, **options: Any) -> Starlette:
    options = {"user": USER, **options}
    routes = [Route("/{path:path}", _hello), WebSocketRoute("/socket", _echo)]
    return Starlette(routes=routes, middleware=[Middleware(QuotaMiddleware, spender, **options)])


def _calls(app: Starlette, *paths: str, **headers: str) -> list[httpx.Response]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} or {
        "x-api-key": "key of alice"
    }

    async def story() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="https://api.example.com"
        ) as http:
            return [await http.get(path, headers=sent) for path in paths]

    return asyncio.run(story())


def test_a_call_is_paid_for_before_it_is_served(
    gateway: Gateway, async_backend: AsyncMeter
) -> None:
    """One unit each, and a 402 with the shop's address when there is none."""
    gateway.fund("alice", 2)
    first, second, third = _calls(_app(async_backend), "/a", "/b", "/c")
    assert (first.text, second.text) == ("hello from /a", "hello from /b")
    assert (third.status_code, third.headers["content-type"]) == (402, "application/problem+json")
    problem = third.json()
    assert (problem["code"], problem["status"], problem["remaining"], problem["top_up_url"]) == (
        "quota_exhausted",
        402,
        0,
        SITE,
    )
    assert gateway.quota().used == 2


def test_a_call_whose_payment_is_unknown_is_not_served(
    gateway: Gateway, async_backend: AsyncMeter
) -> None:
    """503, and the caller may try again."""
    gateway.fund("alice", 2)
    gateway.faults = [lost_before]
    refused, served = _calls(_app(async_backend), "/a", "/b")
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (
        503,
        "quota_unavailable",
        "1",
    )
    assert served.status_code == 200
    assert gateway.quota().used == 1


@pytest.mark.parametrize("headers", [{"x_api_key": "unknown"}, {"accept": "text/plain"}])
def test_a_call_without_a_user_is_a_401(
    gateway: Gateway, async_backend: AsyncMeter, headers: dict[str, str]
) -> None:
    (refused,) = _calls(_app(async_backend), "/a", **headers)
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert gateway.service_calls == 0


def test_a_header_sent_twice_identifies_no_user() -> None:
    """Which of them was meant, only an attacker knows."""
    scope = {"headers": [(b"x-api-key", b"key of alice"), (b"X-API-Key", b"key of alice")]}
    assert USER(scope) is None


def test_what_a_call_costs_may_depend_on_it(gateway: Gateway, async_backend: AsyncMeter) -> None:
    """Nothing for a health check, three for a report; the user may be looked up, awaited."""
    gateway.fund("alice", 10)
    costs = {"/health": 0, "/report": 3}

    async def user(scope: Any) -> str:
        await asyncio.sleep(0)
        return "alice" if scope["path"] else ""

    app = _app(async_backend, user=user, units=lambda scope: costs[scope["path"]])
    assert [answer.status_code for answer in _calls(app, "/health", "/report", "/report")] == [
        200,
        200,
        200,
    ]
    assert gateway.quota().used == 6


def test_what_was_used_is_captured_when_the_application_shuts_down(
    gateway: Gateway, async_backend: AsyncMeter
) -> None:
    """Before the server is notified."""
    gateway.fund("alice", 100)
    app = _app(AsyncLeases(async_backend, size=50, ahead_seconds=None))
    told: list[tuple[str, int]] = []

    async def story() -> None:
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def send(message: Any) -> None:
            told.append((message["type"], gateway.quota().held))

        life = asyncio.create_task(
            app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, inbox.get, send)
        )
        await inbox.put({"type": "lifespan.startup"})
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="https://api.example.com"
        ) as http:
            for _ in range(7):
                assert (
                    await http.get("/", headers={"x-api-key": "key of alice"})
                ).status_code == 200
        assert gateway.quota().held == 50
        await inbox.put({"type": "lifespan.shutdown"})
        await life

    asyncio.run(story())
    assert told == [("lifespan.startup.complete", 0), ("lifespan.shutdown.complete", 0)]
    assert (gateway.quota().used, gateway.quota().remaining) == (7, 93)


async def _socket(app: Callable[..., Awaitable[None]], **members: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"x-api-key", b"key of alice")]
    scope = {
        "type": "websocket",
        "path": "/socket",
        "headers": headers,
        "query_string": b"",
        "subprotocols": [],
        **members,
    }
    await app(scope, receive, send)
    return sent


def test_a_socket_is_paid_for_when_it_is_opened(
    gateway: Gateway, async_backend: AsyncMeter
) -> None:
    """Without units it is refused: by an answer where the server can send one,
    else by closing it.
    """
    gateway.fund("alice", 1)
    app = _app(async_backend)
    assert asyncio.run(_socket(app))[0]["type"] == "websocket.accept"
    assert asyncio.run(_socket(app)) == [
        {"type": "websocket.close", "code": 1008, "reason": "quota_exhausted"}
    ]
    start, body = asyncio.run(_socket(app, extensions={"websocket.http.response": {}}))
    assert (start["type"], start["status"], body["type"]) == (
        "websocket.http.response.start",
        402,
        "websocket.http.response.body",
    )


def test_a_spender_that_blocks_is_refused_when_the_app_is_made(backend: Meter) -> None:
    """It would stop the loop, and nobody would await it."""
    with pytest.raises(TypeError, match="AsyncMeter or AsyncLeases"):
        QuotaMiddleware(_app(None), backend, USER)  # type: ignore[arg-type]
