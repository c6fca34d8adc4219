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
from topup_client import AsyncMeter, CallCosts, QuotaMiddleware

TABLE = """{
  "default": 1,
  "routes": [
    {"method": "GET", "path": "/v1/search/{proxy+}", "units": 2},
    {"method": "ANY", "path": "/v1/search/{proxy+}", "units": 3},
    {"method": "ANY", "path": "/v1/search/deep/{proxy+}", "units": 20},
    {"method": "GET", "path": "/v1/reports/{id}", "units": 5},
    {"method": "ANY", "path": "/v1/reports/{id}", "units": 6},
    {"method": "ANY", "path": "/v1/reports/today", "units": 7},
    {"method": "GET", "path": "/v1/reports/{id}/pages/{page}", "units": 8},
    {"method": "ANY", "path": "/v1/reports/{proxy+}", "units": 9},
    {"method": "ANY", "path": "/health", "units": 0},
    {"method": "POST", "path": "/health", "units": 1000000000},
    {"method": "GET", "path": "/", "units": 4}
  ]
}
"""


@pytest.mark.parametrize(
    ("method", "path", "units"),
    [
        ("GET", "/", 4),
        ("POST", "/", 1),
        ("GET", "/health", 0),
        ("DELETE", "/health", 0),
        ("POST", "/health", 1_000_000_000),
        ("GET", "/health/", 1),
        ("GET", "/healthy", 1),
        ("GET", "/Health", 1),
        ("GET", "/v1/search", 1),
        ("GET", "/v1/search/", 1),
        ("GET", "/v1/search/cats", 2),
        ("GET", "/v1/search/cats/black", 2),
        ("POST", "/v1/search/cats", 3),
        ("GET", "/v1/search/deep", 2),
        ("GET", "/v1/search/deep/sea", 20),
        ("GET", "/v1/reports/7", 5),
        ("PUT", "/v1/reports/7", 6),
        ("GET", "/v1/reports/today", 7),
        ("GET", "/v1/reports/", 1),
        ("GET", "/v1/reports/7/pages/1", 8),
        ("PUT", "/v1/reports/7/pages/1", 9),
        ("GET", "/v1/reports/7/pages", 9),
        ("GET", "/v1/reports//pages/1", 9),
        ("GET", "/v1/search//", 1),
        ("GET", "/v1/search//cats", 2),
        ("get", "/v1/reports/7", 5),
        ("GET", "/v2/search/cats", 1),
    ],
)
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


def _row(**members: object) -> str:
    return json.dumps({"method": "GET", "path": "/a", "units": 1, **members})


@pytest.mark.parametrize(
    "row",
    [
        *(_row(units=units) for units in (-1, 1.5, 1.0, 1_000_000_001, "1", True, None, [1])),
        *(_row(method=method) for method in ("get", "FETCH", "", None, "GET ", "*")),
        *(_row(path=path) for path in ("a", "", "/a/", "//a", "/a?b", "/a b", "/a%20b", None, 5)),
        *(
            _row(path=path)
            for path in ("/{proxy+}/a", "/a{b}", "/{}", "/{a+}{b}", "/a/../b", "/{a")
        ),
        _row(note="dear"),
        '{"method": "GET", "path": "/a"}',
        '{"method": "GET", "path": "/a", "units": 1, "units": 2}',
        '{"method": "GET", "path": "/a", "units": NaN}',
        '"GET /a"',
        "[]",
    ],
)
def test_a_row_that_is_wrong_is_an_error_with_its_line(row: str) -> None:
    text = f'{{\n"default": 1,\n"routes": [\n{_row(path="/fine")},\n\n{row}\n]}}\n'
    with pytest.raises(ValueError, match=r"^line 6: "):
        CallCosts(text)


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ([_row(), _row(path="/b"), _row(units=2)], 4),
        ([_row(path="/a/{x}"), _row(path="/a/{y}")], 3),
        ([_row(path="/a/{x+}"), _row(path="/a/{y+}")], 3),
        (
            [
                _row(method="ANY"),
                *(
                    _row(method=method)
                    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
                ),
            ],
            2,
        ),
    ],
)
def test_a_row_that_no_call_can_reach_is_an_error_with_its_line(rows: list[str], line: int) -> None:
    text = '{"default": 1, "routes": [\n' + ",\n".join(rows) + "]}"
    with pytest.raises(ValueError, match=f"^line {line}: "):
        CallCosts(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("[]", 1),
        ("\n\n5", 3),
        ('{"default": 1,\n"routes": [\n}', 3),
        ('{"routes": [1]}', 1),
        ('{"default": null}', 1),
        ('{"default": 1, "routes": [], "more": 1}', 1),
        ('{"default": 1, "default": 2, "routes": []}', 1),
        ('{"routes": [],\n"default": -1}', 2),
        ('{"default": 1,\n"routes": {}}', 2),
    ],
)
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
