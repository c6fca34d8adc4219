"""What stands between the API and everybody: how often each route may be called, from which pages, and behind which firewall."""

import json
from typing import Any, Final

import pytest
from billing.events import SUBSCRIBED
from repo.declared import TEMPLATE, functions, template
from repo.transformed import transformed

STRIPE_A_SECOND: Final = 25
"""Of one kind of request, and of all in a sandbox: https://docs.stripe.com/rate-limits."""
STRIPE_LIVE_A_SECOND: Final = 100
ACCOUNT_A_SECOND: Final = 10_000
ACCOUNT_AT_ONCE: Final = 5_000
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html."""
BACKLOG: Final = 500
"""Events that may come at once when Stripe, or we, come back after an outage."""
WEBHOOK: Final = "POST /api/v1/payments/webhook"
DEBITS: Final = "POST /api/v1/quota/debits"


def _routes() -> dict[str, str]:
    """Each route of the API, and the function behind it."""
    return {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": name
        for name, row in functions().items()
        for event in row.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }


def _api() -> dict[str, Any]:
    found: dict[str, Any] = template()["Resources"]["HttpApi"]["Properties"]
    return found


def _limits() -> dict[str, tuple[int, int]]:
    """What each route takes a second, and at once."""
    rows = {route: _api()["RouteSettings"].get(route, _api()["DefaultRouteSettings"]) for route in _routes()}
    return {route: (row["ThrottlingRateLimit"], row["ThrottlingBurstLimit"]) for route, row in rows.items()}


def test_every_route_is_throttled_and_every_throttle_has_its_route() -> None:
    """API Gateway refuses a stage that throttles what is not there."""
    assert set(_api()["RouteSettings"]) <= set(_routes())
    assert min(min(limits) for limits in _limits().values()) > 0


def test_no_route_asks_stripe_for_more_than_stripe_answers() -> None:
    """Every route whose function holds Stripe's key; what comes too fast is refused here, before a payment is recorded."""
    asking = [route for route, name in _routes().items() if "StripeKeySecret" in json.dumps(template()["Resources"][f"{name}Role"])]
    assert "POST /api/v1/payments/checkout" in asking
    for route in asking:
        assert max(_limits()[route]) <= STRIPE_A_SECOND, route
    assert sum(_limits()[route][0] for route in asking) < STRIPE_LIVE_A_SECOND, "reconciliation asks too"


def test_the_webhook_takes_all_that_stripe_sends() -> None:
    """Every event of as many purchases as Stripe lets anybody make, and a backlog at once."""
    rate, burst = _limits()[WEBHOOK]
    assert WEBHOOK in _api()["RouteSettings"], "a bucket of its own"
    assert rate >= STRIPE_A_SECOND * len(SUBSCRIBED)
    assert burst >= 2 * BACKLOG


def test_debits_pass_as_fast_as_one_account_carries_them() -> None:
    """One item takes 1 000 plain debits a second (docs/scale.md); several customers spend at once."""
    assert _limits()[DEBITS][0] >= 2 * 1000


def test_all_routes_together_leave_each_its_own() -> None:
    """The account's own limit is shared by all: below it, no route can take what another was promised."""
    rates, bursts = zip(*_limits().values(), strict=True)
    assert sum(rates) < ACCOUNT_A_SECOND
    assert sum(bursts) < ACCOUNT_AT_ONCE


def _cors(**parameters: str) -> tuple[str, dict[str, Any], Any]:
    made = transformed(TEMPLATE.read_text(), **parameters)["Resources"]["HttpApi"]["Properties"]["Body"]["x-amazon-apigateway-cors"]
    condition, opened, closed = made["Fn::If"]
    return condition, opened, closed


def test_no_other_page_may_call_the_api_unless_it_is_named() -> None:
    """As the OpenAPI document says it that API Gateway imports; with no value there, there is no CORS at all."""
    condition, _, closed = _cors()
    assert (condition, closed) == ("OpensCors", {"Ref": "AWS::NoValue"})
    assert template()["Conditions"]["OpensCors"] == {"Not": [{"Equals": [{"Ref": "CorsOrigins"}, ""]}]}
    assert template()["Parameters"]["CorsOrigins"]["Default"] == ""


def test_the_pages_that_are_named_may_call_it_as_our_own_does() -> None:
    """With a token, an idempotency key and every method of the API; never with cookies."""
    _, opened, _ = _cors(CorsOrigins="https://a.example,https://b.example")
    assert opened["allowOrigins"] == {"Fn::Split": [",", "https://a.example,https://b.example"]}
    assert set(opened["allowMethods"]) == {route.split(" ")[0] for route in _routes()}
    assert set(opened["allowHeaders"]) == {"authorization", "content-type", "idempotency-key"}
    assert "allowCredentials" not in opened


def test_the_firewall_passes_the_whole_api_and_keeps_nothing() -> None:
    """Every method, every header but Host, nothing from a cache, and TLS on both sides."""
    config = template()["Resources"]["Distribution"]["Properties"]["DistributionConfig"]
    behaviour = config["DefaultCacheBehavior"]
    assert set(behaviour["AllowedMethods"]) >= {route.split(" ")[0] for route in _routes()} | {"OPTIONS"}
    assert behaviour["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    assert behaviour["OriginRequestPolicyId"] == "b689b0a8-53d0-40ab-baf2-68738e2966ac"
    assert behaviour["ViewerProtocolPolicy"] == "https-only"
    assert [origin["CustomOriginConfig"]["OriginProtocolPolicy"] for origin in config["Origins"]] == ["https-only"]
    assert config["WebACLId"] == {"Ref": "WebAclArn"}


@pytest.mark.parametrize("name", ["CallbackURLs", "LogoutURLs"])
def test_cognito_sends_customers_back_to_the_domain(name: str) -> None:
    """Where the page is."""
    urls = template()["Resources"]["UserPoolClient"]["Properties"][name]
    assert urls == [
        {"If": ["HasSiteUrl", {"Sub": "${SiteUrl}/"}, {"If": ["HasDomain", {"Sub": "https://${DomainName}/"}, "http://localhost:8080/"]}]}
    ]
