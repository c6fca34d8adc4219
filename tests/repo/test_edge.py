"""What stands between the API and everybody: how often each route may be called, from which pages,
and behind which firewall.
"""

import json
from typing import Any, Final

import boto3
import pytest
from billing.stripe_api.events import SUBSCRIBED
from repo.conditions import Conditions
from repo.declared import TEMPLATE, functions, template
from repo.transformed import transformed

STRIPE_A_SECOND: Final = 25
"""Of one kind of request, and of all in a sandbox: https://docs.stripe.com/rate-limits."""
STRIPE_LIVE_A_SECOND: Final = 100
USUAL: Final = (10_000, 5_000)
SMALL: Final = (2_500, 1_250)
"""Of an account, in all: requests a second, and at once.
https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html."""
WITH_SMALL: Final = (
    *(
        "af-south-1",
        "ap-south-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-7",
        "ca-west-1",
    ),
    *("eu-central-2", "eu-south-1", "eu-south-2", "il-central-1", "me-central-1", "mx-central-1"),
)
"""Cape Town, Hyderabad, Jakarta, Melbourne, Malaysia, Thailand, Calgary, Zurich, Milan, Spain, Tel
Aviv, UAE, Mexico: the same page."""
REGIONS: Final = tuple(boto3.Session().get_available_regions("apigatewayv2"))
ROOM_FOR: Final = 12
"""Routes that a release may add, with the throttle of every other route, before somebody has to
reckon again."""
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


def _stage(region: str, logical_id: str = "HttpApiApiGatewayDefaultStage") -> dict[str, Any]:
    """A stage's settings as CloudFormation makes them in that region."""
    whole = Conditions(transformed())
    found: dict[str, Any] = whole.settled(
        whole.template["Resources"][logical_id]["Properties"], {"AWS::Region": region}
    )
    return found


def _limits(region: str = "us-east-1") -> dict[str, tuple[int, int]]:
    """What each route takes a second, and at once."""
    stage = _stage(region)
    rows = {
        route: stage["RouteSettings"].get(route, stage["DefaultRouteSettings"])
        for route in _routes()
    }
    return {route: _limit(row) for route, row in rows.items()}


def _limit(row: dict[str, int]) -> tuple[int, int]:
    return row["ThrottlingRateLimit"], row["ThrottlingBurstLimit"]


def test_every_route_is_throttled_and_every_throttle_has_its_route() -> None:
    """API Gateway refuses a stage that throttles what is not there."""
    assert set(_stage("us-east-1")["RouteSettings"]) <= set(_routes())
    assert min(min(limits) for limits in _limits().values()) > 0


def test_no_route_asks_stripe_for_more_than_stripe_answers() -> None:
    """Every route whose function holds Stripe's key; what comes too fast is refused here, before a
    payment is recorded.
    """
    asking = [
        route
        for route, name in _routes().items()
        if "StripeKeySecret" in json.dumps(template()["Resources"][f"{name}Role"])
    ]
    assert "POST /api/v1/payments/checkout" in asking
    for route in asking:
        assert max(_limits()[route]) <= STRIPE_A_SECOND, route
    assert sum(_limits()[route][0] for route in asking) < STRIPE_LIVE_A_SECOND, (
        "reconciliation asks too"
    )


@pytest.mark.parametrize("region", REGIONS)
def test_the_webhook_takes_all_that_stripe_sends(region: str) -> None:
    """Every event of as many purchases as Stripe lets anybody make; where the quota allows it, a
    backlog at once.
    """
    rate, burst = _limits(region)[WEBHOOK]
    assert WEBHOOK in _stage(region)["RouteSettings"], "a bucket of its own"
    assert rate >= STRIPE_A_SECOND * len(SUBSCRIBED)
    assert region in WITH_SMALL or burst >= 2 * BACKLOG


def test_debits_pass_as_fast_as_one_account_carries_them() -> None:
    """One item takes 1 000 plain debits a second (docs/scale.md); several
    customers spend at once.
    """
    assert _limits()[DEBITS][0] >= 2 * 1000


@pytest.mark.parametrize("region", sorted({*REGIONS, *WITH_SMALL}))
def test_all_routes_together_leave_each_its_own(region: str) -> None:
    """The account's own limit is shared by all: below it, no route can take what another was
    promised.

    The sign-in API's one route is among them, and room is left for a few more.
    """
    more = [_limit(_stage(region)["DefaultRouteSettings"])] * ROOM_FOR
    sign_in = _limit(_stage(region, "SignInStage")["DefaultRouteSettings"])
    rates, bursts = zip(*_limits(region).values(), sign_in, *more, strict=True)
    quota = SMALL if region in WITH_SMALL else USUAL
    assert sum(rates) < quota[0]
    assert sum(bursts) < quota[1]


def _cors(**parameters: str) -> tuple[str, dict[str, Any], Any]:
    made = transformed(TEMPLATE.read_text(), **parameters)["Resources"]["HttpApi"]["Properties"][
        "Body"
    ]["x-amazon-apigateway-cors"]
    condition, opened, closed = made["Fn::If"]
    return condition, opened, closed


def test_no_other_page_may_call_the_api_unless_it_is_named() -> None:
    """As the OpenAPI document says it that API Gateway imports; with no value there, there is no
    CORS at all.
    """
    condition, _, closed = _cors()
    assert (condition, closed) == ("OpensCors", {"Ref": "AWS::NoValue"})
    assert template()["Conditions"]["OpensCors"] == {
        "Not": [{"Equals": [{"Ref": "CorsOrigins"}, ""]}]
    }
    assert template()["Parameters"]["CorsOrigins"]["Default"] == ""


def test_the_pages_that_are_named_may_call_it_as_our_own_does() -> None:
    """With a token or a key, an idempotency key and every method of the API; never with cookies."""
    _, opened, _ = _cors(CorsOrigins="https://a.example,https://b.example")
    assert opened["allowOrigins"] == {"Fn::Split": [",", "https://a.example,https://b.example"]}
    assert set(opened["allowMethods"]) == {route.split(" ")[0] for route in _routes()}
    assert set(opened["allowHeaders"]) == {
        "authorization",
        "content-type",
        "idempotency-key",
        "x-api-key",
    }
    assert "allowCredentials" not in opened


def test_the_firewall_passes_the_whole_api_and_keeps_nothing() -> None:
    """Every method, every header but Host, nothing from a cache, and TLS on both sides."""
    config = template()["Resources"]["Distribution"]["Properties"]["DistributionConfig"]
    behaviour = config["DefaultCacheBehavior"]
    assert set(behaviour["AllowedMethods"]) >= {route.split(" ")[0] for route in _routes()} | {
        "OPTIONS"
    }
    assert behaviour["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    assert behaviour["OriginRequestPolicyId"] == "b689b0a8-53d0-40ab-baf2-68738e2966ac"
    assert behaviour["ViewerProtocolPolicy"] == "redirect-to-https", (
        "who types the domain alone gets the page"
    )
    assert config["IPV6Enabled"] is True
    assert [
        origin["CustomOriginConfig"]["OriginProtocolPolicy"] for origin in config["Origins"]
    ] == ["https-only"]
    assert config["WebACLId"] == {"Ref": "WebAclArn"}


def test_a_domain_before_cloudfront_has_both_kinds_of_address() -> None:
    """The distribution speaks IPv6:
    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-to-cloudfront-distribution.html.
    """
    resources = template()["Resources"]
    made = {
        row["Properties"]["Type"]: row
        for row in resources.values()
        if row["Type"] == "AWS::Route53::RecordSet"
    }
    assert set(made) == {"A", "AAAA"}
    assert made["AAAA"]["Condition"] == "DistributionHasZone"
    target = {"DNSName": {"GetAtt": "Distribution.DomainName"}, "HostedZoneId": "Z2FDTNDATAQYW2"}
    assert made["AAAA"]["Properties"]["AliasTarget"] == target
