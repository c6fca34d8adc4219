"""Which call an authorizer's event is about, and that no spelling of its path makes it cheaper."""

from typing import Any, Final

import pytest
from billing.keys import costs
from billing.keys.calls import cost_of, read_call

TABLE: Final = """{"default": 2, "routes": [
  {"method": "ANY", "path": "/free/{proxy+}", "units": 0},
  {"method": "ANY", "path": "/v1/reports", "units": 5},
  {"method": "ANY", "path": "/v1/reports/{id}", "units": 3},
  {"method": "ANY", "path": "/health", "units": 0}
]}"""
ARN: Final = "arn:aws:execute-api:us-east-1:123456789012:abcdef/prod/GET"


def _event(path: str, **members: Any) -> dict[str, Any]:
    context = {"http": {"method": "GET", "path": path}, "stage": "$default"}
    return {
        "version": "2.0",
        "rawPath": path,
        "routeKey": "$default",
        "requestContext": context,
    } | (members)


@pytest.mark.parametrize(
    ("path", "units"),
    [
        ("/v1/reports", 5),
        ("/v1/%72eports", 5),
        ("/v1/%2572eports", 5),
        ("/v1%2Freports", 5),
        ("/v1//reports", 5),
        ("//v1/reports/", 5),
        ("/v1/./reports", 5),
        ("/v1/reports/7/..", 5),
        ("/free/../v1/reports", 5),
        ("/free/%2e%2e/v1/reports", 5),
        ("/free/%252e%252e%252fv1/reports", 5),
        ("/v1/reports/a%20b", 3),
        ("/v1/reports/%", 3),
        ("/free/%zz", 0),
        ("/free/a/b", 0),
        ("/health", 0),
        ("/%68ealth", 2),
        ("/", 2),
    ],
)
def test_a_call_costs_the_most_of_what_its_path_may_mean(path: str, units: int) -> None:
    assert cost_of(costs.load(TABLE), _event(path), 1) == units


def test_the_route_counts_where_no_row_has_the_path() -> None:
    table = costs.load(TABLE)
    event = _event("/base/v1/reports/7", routeKey="GET /v1/reports/{id}")
    assert cost_of(table, event, 1) == 3
    assert cost_of(costs.load("{}"), event, 7) == 7, "and the stack's own price without a table"


@pytest.mark.parametrize("event", [_event("/a/b"), {"methodArn": f"{ARN}/a/b", "type": "TOKEN"}])
def test_what_is_no_route_has_no_price(event: dict[str, Any]) -> None:
    """Neither ``$default`` nor an event without a route is the call of a row."""
    rows = (
        '{"method": "ANY", "path": "/", "units": 0}, {"method": "ANY", "path": "/{id}", "units": 9}'
    )
    table = costs.load(f'{{"default": 2, "routes": [{rows}]}}')
    assert cost_of(table, event, 1) == 2


@pytest.mark.parametrize(
    ("event", "call"),
    [
        (_event("/a/b"), ("GET", "/a/b", "$default")),
        ({"methodArn": f"{ARN}/a/b", "type": "TOKEN"}, ("GET", "/a/b", "")),
        ({"methodArn": f"{ARN}/", "type": "TOKEN"}, ("GET", "/", "")),
        ({"methodArn": "*"}, ("", "/", "")),
        ({}, ("", "/", "")),
        (
            {
                "httpMethod": "PUT",
                "path": "/prod/a",
                "resource": "/{proxy+}",
                "requestContext": {"stage": "prod"},
            },
            ("PUT", "/prod/a", "/{proxy+}"),
        ),
    ],
)
def test_each_kind_of_event_is_read(event: dict[str, Any], call: tuple[str, str, str]) -> None:
    assert read_call(event) == call


@pytest.mark.parametrize(
    ("domain", "path"),
    [
        ("abcdef.execute-api.us-east-1.amazonaws.com", "/reports"),
        ("api.example.com", "/v1/reports"),
    ],
)
def test_a_stage_is_cut_off_except_on_the_sellers_own_domain(domain: str, path: str) -> None:
    context = {"http": {"method": "GET"}, "stage": "v1", "domainName": domain}
    event = _event("/v1/reports", requestContext=context)
    assert read_call(event).path == path
