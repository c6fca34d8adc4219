import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from functional.lab import API, Context, Lab
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NO_HTTP = {"reconcile", "recover", "notify", "authorize"}
TEXTS = st.text(max_size=30)
PATHS = st.dictionaries(st.sampled_from(["id", "hold_id", "key_id", "file"]), TEXTS, max_size=2)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Stripe-Signature", "idempotency-key", "authorization", "x-api-key", "accept-encoding"]
    ),
    TEXTS,
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "sub": TEXTS | st.integers() | st.none(),
        "scope": TEXTS | st.just("quota.write") | st.none(),
    },
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)
BODIES = (
    TEXTS
    | st.just("{}")
    | st.just('{"user_id":"u","units":1}')
    | st.just('{"plan":"gold"}')
    | st.none()
)
METHODS = st.sampled_from(["GET", "POST", "DELETE", "PUT", "HEAD", ""])
LIST = st.dictionaries(st.sampled_from(["limit", "cursor", "v"]), TEXTS)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """What could come through a gateway or a Function URL, with anything missing, null or odd."""
    route = draw(
        st.sampled_from(
            [
                f"{API}/quota",
                f"{API}/quota/ledger",
                f"{API}/quota/holds/{{hold_id}}/capture",
                "",
                "$default",
            ]
        )
    )
    method = draw(METHODS)
    authorizer: Any = draw(
        st.sampled_from([{"jwt": {"claims": draw(CLAIMS)}}, {"claims": draw(CLAIMS)}, {}, None])
    )
    context = draw(
        st.sampled_from(
            [{"http": {"method": method}, "authorizer": authorizer, "requestId": "r"}, {}, None]
        )
    )
    whole = {
        "routeKey": f"{method} {route}",
        "headers": draw(HEADERS | st.none()),
        "pathParameters": draw(PATHS | st.none()),
        "queryStringParameters": draw(LIST | st.none()),
        "requestContext": context,
        "body": draw(BODIES),
        "isBase64Encoded": draw(st.booleans() | st.none()),
        "other": draw(ANY_JSON),
    }
    return {
        name: value for name, value in whole.items() if draw(st.booleans()) or name == "routeKey"
    }


def http_handlers() -> Iterator[str]:
    """The modules of all functions that answer HTTP."""
    from functional.template import Template  # noqa: PLC0415 - only its names are wanted here

    yield from sorted(Template("any", "any").handlers() - NO_HTTP)


@pytest.mark.parametrize("module", list(http_handlers()))
@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(event=events())
def test_a_handlers_answer_always_has_an_integer_status(
    lab: Lab, module: str, event: dict[str, Any]
) -> None:
    """Whatever comes: without one API Gateway would make a 200 of it.

    And what comes is never our own fault.
    """
    said = lab.invoke(module, event)
    assert 200 <= said.status < 500, said
    assert isinstance(said.raw["body"], str)
    assert said.raw["headers"]["x-request-id"]


@pytest.mark.parametrize("module", list(http_handlers()))
def test_an_empty_event_is_answered(lab: Lab, module: str) -> None:
    assert lab.invoke(module, {}).status in (200, 302, 400, 401, 403)


def test_every_function_of_the_template_has_its_handler(lab: Lab) -> None:
    """A name in the template that is no module fails only when it is called."""
    for module in lab.template.handlers():
        assert callable(importlib.import_module(module).handler)


def test_an_answer_has_the_request_id_and_is_never_cached(lab: Lab) -> None:
    """The request id of API Gateway, no caching, no guessing of types."""
    headers = lab.call("GET", "/plans").raw["headers"]
    assert headers["x-request-id"] == "req-1"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_without_a_gateway_the_request_id_is_lambdas(lab: Lab) -> None:
    """A direct call has no request context."""
    assert (
        lab.invoke("public.list_plans", {}).raw["headers"]["x-request-id"] == Context.aws_request_id
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("PAYMENTS_TABLE", ""), ("STACK_NAME", "  "), ("LIVEMODE", None), ("REVERSAL_POLICY", "")],
)
def test_a_missing_setting_is_a_500_without_details(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    value: str | None,
) -> None:
    """The log names the setting, the answer does not."""
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    said = lab.call("GET", "/quota", sub="alice")
    assert (said.status, said.code) == (500, "internal_error")
    assert name not in said.raw["body"]
    assert f"{name} is missing or blank" in caplog.text


def test_an_internal_error_is_answered_without_its_trace(lab: Lab) -> None:
    """A table that is gone: 5xx, and nothing of the inside in the answer."""
    lab.boto("dynamodb").delete_table(TableName="QuotasTable")
    said = lab.call("GET", "/quota", sub="alice")
    assert (said.status, said.code) == (500, "internal_error")
    assert "Traceback" not in said.raw["body"]
    assert "QuotasTable" not in said.raw["body"]


def test_the_description_of_the_api_names_every_route_of_the_template(lab: Lab) -> None:
    """What is deployed is described, and what is described is deployed."""
    said = lab.call("GET", "/openapi.json")
    described = {
        (method.upper(), API + path if not path.startswith(API) else path)
        for path, methods in said.json["paths"].items()
        for method in methods
    }
    deployed = {
        (route.method, route.path)
        for route in lab.template.routes()
        if route.handler != "public.serve_site"
    }
    assert described >= deployed
    assert {(method, path) for method, path in described if path != f"{API}/"} <= deployed
