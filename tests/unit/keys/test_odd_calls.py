"""Events and tables at their bounds: each form that API Gateway has, and where a fault lies."""

from typing import Any, Final

import pytest
from billing.keys import cost_text, costs
from billing.keys.calls import cost_of, read_call

OWN: Final = "abcdef.execute-api.us-east-1.amazonaws.com"


def _http(path: Any, stage: str = "prod", **context: Any) -> dict[str, Any]:
    """An HTTP API's event, format 2.0."""
    about = {"http": {"method": "GET", "path": path}, "stage": stage, **context}
    return {"version": "2.0", "rawPath": path, "routeKey": "GET /a", "requestContext": about}


@pytest.mark.parametrize(
    ("event", "call"),
    [
        (_http("/prod/a/b"), ("GET", "/a/b", "/a")),
        (_http("/prod"), ("GET", "/", "/a")),
        (_http("/prod/"), ("GET", "/", "/a")),
        (_http("/production/a"), ("GET", "/production/a", "/a")),
        (_http("/a/prod"), ("GET", "/a/prod", "/a")),
        (_http("/prod/prod/a"), ("GET", "/prod/a", "/a")),
        (_http("/prod/a", domainName=OWN), ("GET", "/a", "/a")),
        (_http("/prod/a", domainName="api.example.com"), ("GET", "/prod/a", "/a")),
        (_http(None), ("GET", "", "/a")),
        (
            {
                "version": "1.0",
                "httpMethod": "POST",
                "path": "/prod/reports",
                "resource": "/reports",
                "requestContext": {"stage": "prod", "domainName": OWN},
            },
            ("POST", "/reports", "/reports"),
        ),
        (
            {
                "httpMethod": "POST",
                "path": "/prod/reports",
                "resource": "/reports",
                "requestContext": {"stage": "prod", "domainName": OWN},
            },
            ("POST", "/prod/reports", "/reports"),
        ),
        (
            {"httpMethod": "GET", "path": None, "resource": None, "requestContext": None},
            ("GET", "", ""),
        ),
        ({"httpMethod": None, "methodArn": None, "requestContext": {"http": None}}, ("", "/", "")),
        ({"httpMethod": "PUT"}, ("PUT", "", "")),
        ({"methodArn": "arn:aws:execute-api:r:1:api/prod/GET"}, ("GET", "/", "")),
        ({"methodArn": "arn:aws:execute-api:r:1:api/prod/GET/a/b/c"}, ("GET", "/a/b/c", "")),
        ({"methodArn": "arn:aws:execute-api:r:1:api/prod"}, ("", "/", "")),
    ],
)
def test_each_form_of_an_event_is_one_call(
    event: dict[str, Any], call: tuple[str, str, str]
) -> None:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html."""
    assert read_call(event) == call


@pytest.mark.parametrize(
    ("path", "units"),
    [
        ("/dear/../health", 9),
        ("/health/../dear/x", 9),
        ("/v1/%252572eports", 2),
        ("/v1/%2572eports", 5),
        ("/v1/reports", 5),
        ("/health", 0),
        ("/%2568ealth", 2),
    ],
)
def test_a_path_is_decoded_twice_and_costs_the_most_of_its_readings(path: str, units: int) -> None:
    """As it was sent, and with its dots resolved."""
    rows = [("/dear/{proxy+}", 9), ("/v1/reports", 5), ("/health", 0)]
    texts = [f'{{"method": "ANY", "path": "{one}", "units": {cost}}}' for one, cost in rows]
    table = costs.load(f'{{"default": 2, "routes": [{", ".join(texts)}]}}')
    event = _http(path, stage="$default") | {"routeKey": "$default"}
    assert cost_of(table, event, 1) == units


GOOD: Final = '{"method": "GET", "path": "/a", "units": 1}'


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ('{"default": []}', ["line 1: default"]),
        ('{"default": {}}', ["line 1: default"]),
        ('{\n"routes": [],\n"default":\n-1}', ["line 4: default"]),
        ('{\n"routes": [],\n"default":\n[1,\n2]}', ["line 4: default"]),
        ('{"default": -1}', ["line 1: default"]),
        ('{"default": 1000000001}', ["line 1: default"]),
        ('\n{"routes": [7]}', ["line 2: a route must be an object"]),
        ('{"routes": [\n\n7\n,\n8]}', ["line 3: a route", "line 5: a route"]),
        ("\n[]", ["line 2: the table must be an object"]),
        (" \r\n\t\n7", ["line 3: the table must be an object"]),
        ('{"routes":\n7}', ["line 2: routes must be a list"]),
        ('{"a": 1, "b": 2}', ["line 1: 'a' is unknown", "line 1: 'b' is unknown"]),
        (f'{{"routes": [{GOOD},\n{GOOD}]}}', ["line 2: unreachable, line 1 has"]),
        (
            f'{{"x": [1,\n2], "routes": [\n{GOOD},\n[],\n{GOOD}]}}',
            ["line 1: 'x'", "line 4: a route", "line 5: unreachable, line 3"],
        ),
        (
            '{"routes": [{"method": "GET", "path": "/a", "units": 1, "units": 2}]}',
            ["line 1: 'units' stands twice"],
        ),
        (
            '{"routes": [{"method": "GET"}]}',
            ["line 1: path is missing", "line 1: units is missing"],
        ),
        (
            '{"routes": [{"method": "get", "path": "a", "units": -1}]}',
            ["line 1: method must be", "line 1: path must be", "line 1: units must be"],
        ),
    ],
)
def test_every_fault_of_a_table_is_told_once_with_its_line(text: str, faults: list[str]) -> None:
    """In the order of the text, as far as it has one."""
    with pytest.raises(cost_text.CostsError) as told:
        costs.load(text)
    found = str(told.value).split("; ")
    assert len(found) == len(faults), found
    for one, start in zip(found, faults, strict=True):
        assert one.startswith(start)


@pytest.mark.parametrize(
    "path",
    ["/a?b/{proxy+}", "/a b/{rest+}", "/../{rest+}", "/./{rest+}", "/{a+}/{b+}", "//{a+}", "/a/.."],
)
def test_no_part_of_a_path_before_its_greedy_end_is_left_unchecked(path: str) -> None:
    with pytest.raises(cost_text.CostsError, match="line 1: path must be like"):
        costs.load(f'{{"routes": [{{"method": "GET", "path": "{path}", "units": 1}}]}}')


@pytest.mark.parametrize("units", [0, 1, 10**9])
def test_units_at_the_bounds_are_taken(units: int) -> None:
    table = costs.load(
        f'{{"default": {units}, "routes": [{{"method": "PATCH", "path": "/a", "units": {units}}}]}}'
    )
    assert (table.default, table.find("patch", "/a"), table.find("GET", "/a")) == (
        units,
        units,
        None,
    )


def test_a_row_for_every_method_is_unreachable_where_each_has_its_own() -> None:
    """Seven methods; with six of them it still counts for the seventh."""
    methods = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
    texts = [f'{{"method": "{one}", "path": "/a", "units": 1}}' for one in methods]
    every = '{"method": "ANY", "path": "/a", "units": 5}'
    table = costs.load(f'{{"routes": [{every}, {", ".join(texts[:-1])}]}}')
    assert (table.find("PUT", "/a"), table.find("POST", "/a")) == (5, 1)
    assert costs.load(f'{{"routes": [{", ".join(texts)}]}}').find("PUT", "/a") == 1
    with pytest.raises(cost_text.CostsError, match=r"^line 1: unreachable, each method has a row"):
        costs.load(f'{{"routes": [{every}, {", ".join(texts)}]}}')
