"""What holds for every route of the template, whatever it does."""

import base64
import re
from typing import Any

import pytest
from functional.lab import Lab, Said, gateway_event
from functional.template import Route, Template

ROUTES = Template("any", "any").routes()
READ_BODIES_UP_TO = {
    "POST /api/v1/payments/webhook": 256 * 1024,
    "POST /api/v1/payments/checkout": 64 * 1024,
    "POST /api/v1/quota/debits": 64 * 1024,
    "POST /api/v1/quota/holds": 64 * 1024,
    "POST /api/v1/quota/holds/{hold_id}/capture": 64 * 1024,
    "POST /api/v1/quota/grants": 64 * 1024,
    "POST /api/v1/keys": 64 * 1024,
    "PUT /api/v1/quota/alert": 64 * 1024,
    "PATCH /api/v1/keys/{key_id}": 64 * 1024,
}
"""The others never look at one."""
GATEWAY_BYTES_MAX = 10 * 1024 * 1024
"""API Gateway's own:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""


def _name(route: Route) -> str:
    return f"{route.method} {route.path}"


def _ask(lab: Lab, route: Route, body: str | None = None, **members: Any) -> Said:
    """With a token that may do everything, through TLS."""
    parameters = {
        name: "app.js" if name == "file" else "x" for name in re.findall(r"\{(\w+)\}", route.path)
    }
    event = (
        gateway_event(
            route,
            route.path,
            parameters,
            {
                "x-forwarded-proto": "https",
                "stripe-signature": "t=1,v1=x",
                "idempotency-key": "k",
            },
            body,
        )
        | members
    )
    event["requestContext"]["authorizer"] = {
        "jwt": {"claims": {"sub": "alice", "scope": "quota.write quota.grant"}}
    }
    return lab.invoke(route.handler, event)


@pytest.mark.parametrize("route", ROUTES, ids=_name)
def test_every_answer_is_guarded(lab: Lab, route: Route) -> None:
    """No guessing of types, no referrer, no plain HTTP, no frame, no source of
    anything that is not named.
    """
    headers = _ask(lab, route).raw["headers"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["strict-transport-security"].startswith("max-age=")
    policy = [rule.strip() for rule in headers["content-security-policy"].split(";")]
    assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(policy)


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.handler != "public.serve_site"], ids=_name
)
def test_no_answer_of_the_api_is_kept_by_anybody(lab: Lab, route: Route) -> None:
    """Balances, keys and checkout pages are private; files of the page have rules of their
    own.
    """
    assert _ask(lab, route).raw["headers"]["cache-control"] == "no-store"


@pytest.mark.parametrize("encoded", [False, True], ids=["as it is", "as base64"])
@pytest.mark.parametrize("route", ROUTES, ids=_name)
def test_no_route_reads_a_body_of_any_size(lab: Lab, route: Route, *, encoded: bool) -> None:
    """One byte more than it takes, or as much as API Gateway lets through, is 413; or the route
    looks at no body at all.
    """
    largest = READ_BODIES_UP_TO.get(_name(route))
    for size in (GATEWAY_BYTES_MAX, (largest or 0) + 1):
        body = "x" * size
        said = _ask(
            lab,
            route,
            base64.b64encode(body.encode()).decode() if encoded else body,
            isBase64Encoded=encoded,
        )
        if largest is None:
            assert said.raw == _ask(lab, route).raw
        else:
            assert (said.status, said.code) == (413, "payload_too_large")


@pytest.mark.parametrize("encoded", [False, True], ids=["as it is", "as base64"])
@pytest.mark.parametrize("name", READ_BODIES_UP_TO)
def test_a_body_of_exactly_the_limit_is_read(lab: Lab, name: str, *, encoded: bool) -> None:
    (route,) = [route for route in ROUTES if _name(route) == name]
    body = "x" * READ_BODIES_UP_TO[name]
    said = _ask(
        lab,
        route,
        base64.b64encode(body.encode()).decode() if encoded else body,
        isBase64Encoded=encoded,
    )
    assert said.status == 400
