"""A table says what each call costs. It is checked when it is loaded."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from client.gateway import Gateway
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from support.call_costs import CALLS, NO_TABLES, TABLE, UNREACHABLE, WRONG_ROWS, with_row, with_rows
from topup_client import AsyncMeter, CallCosts, QuotaMiddleware


@pytest.mark.parametrize(("method", "path", "units"), CALLS)
def test_the_most_exact_row_says_what_a_call_costs(method: str, path: str, units: int) -> None:
    """A path before a variable, both before the rest of a path, a method before ANY."""
    assert CallCosts(TABLE).units(method, path) == units


@pytest.mark.parametrize("text", ["{}", '{"routes": []}', '{"default": 1}'])
def test_a_table_that_says_nothing_of_a_call_costs_one_unit(text: str) -> None:
    assert CallCosts(text).units("GET", "/a") == 1


def test_no_spelling_of_a_path_makes_it_cheaper(
    gateway: Gateway, async_backend: AsyncMeter
) -> None:
    """The application sees the decoded path, and so does the table."""
    gateway.fund("alice", 10)

    async def hello(*_: Any) -> None:
        """The application."""

    async def story() -> None:
        app = QuotaMiddleware(hello, async_backend, lambda _: "alice", CallCosts(TABLE))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://api") as http:
            with contextlib.suppress(AssertionError):  # the application answers nothing
                await http.get("/v1/%72eports/7")

    asyncio.run(story())
    assert gateway.quota().used == 5


def test_the_order_of_the_rows_does_not_matter() -> None:
    table = json.loads(TABLE)
    turned = json.dumps({**table, "routes": table["routes"][::-1]})
    for method in ("GET", "POST"):
        for path in ("/v1/search/deep/sea", "/v1/reports/today", "/v1/reports/7", "/health"):
            assert CallCosts(turned).units(method, path) == CallCosts(TABLE).units(method, path)


@pytest.mark.parametrize("row", WRONG_ROWS)
def test_a_row_that_is_wrong_is_an_error_with_its_line(row: str) -> None:
    with pytest.raises(ValueError, match=r"^line 6: "):
        CallCosts(with_row(row))


@pytest.mark.parametrize(("rows", "line"), UNREACHABLE)
def test_a_row_that_no_call_can_reach_is_an_error_with_its_line(rows: list[str], line: int) -> None:
    with pytest.raises(ValueError, match=f"^line {line}: "):
        CallCosts(with_rows(rows))


@pytest.mark.parametrize(("text", "line"), NO_TABLES)
def test_what_is_no_table_is_an_error_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"^line {line}: "):
        CallCosts(text)


def test_the_middleware_takes_what_the_table_says(
    gateway: Gateway, async_backend: AsyncMeter, tmp_path: Path
) -> None:
    """A health check takes nothing, and the service is not asked."""
    gateway.fund("alice", 10)
    file = tmp_path / "costs.json"
    file.write_text(TABLE)

    async def hello(_: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    wrapped: Any = Middleware(
        QuotaMiddleware, async_backend, lambda _: "alice", units=CallCosts.load(file)
    )
    app = Starlette(routes=[Route("/{path:path}", hello)], middleware=[wrapped])

    async def story() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://api") as http:
            paths = ("/health", "/v1/search/cats?q=1", "/v1/reports/7", "/v1/reports/8", "/health")
            return [(await http.get(path)).status_code for path in paths]

    assert asyncio.run(story()) == [200, 200, 200, 402, 200]
    assert (gateway.quota().used, gateway.service_calls) == (7, 3)


def test_the_opening_of_a_socket_costs_what_a_get_does() -> None:
    assert CallCosts(TABLE)({"type": "websocket", "path": "/v1/reports/7"}) == 5
