"""The optional parts of the template: each combination holds together, and none of it meets the
stand.
"""

import copy
import itertools
import re
from typing import Any, Final

import pytest
from repo.conditions import Conditions
from repo.declared import TEMPLATE
from repo.transformed import transformed

DOMAIN: Final = {
    "DomainName": "topup.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1",
}
ZONE: Final = {"HostedZoneId": "Z1"}
FIREWALL: Final = {"WebAclArn": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/a/1"}
OWN: Final = "https://${HttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"
EDGE: Final = {"ApiDomain", "ApiDomainMapping", "Distribution", "DomainRecord"}


@pytest.fixture(scope="module")
def whole() -> Conditions:
    """template.yaml, with what SAM makes of it."""
    return Conditions(transformed(TEMPLATE.read_text()))


def _site(whole: Conditions, values: dict[str, str]) -> Any:
    variables = whole.template["Resources"]["CreateCheckoutFunction"]["Properties"]["Environment"][
        "Variables"
    ]
    return whole.chosen(variables["SITE_URL"], values)


@pytest.mark.parametrize(
    ("values", "made", "api_url", "site_url"),
    [
        ({}, set(), OWN, ""),
        (
            DOMAIN,
            {"ApiDomain", "ApiDomainMapping"},
            "https://${DomainName}",
            "https://${DomainName}",
        ),
        (
            DOMAIN | ZONE,
            {"ApiDomain", "ApiDomainMapping", "DomainRecord"},
            "https://${DomainName}",
            "https://${DomainName}",
        ),
        (FIREWALL, {"Distribution"}, "https://${Distribution.DomainName}", ""),
        (FIREWALL | DOMAIN, {"Distribution"}, "https://${DomainName}", "https://${DomainName}"),
        (
            FIREWALL | DOMAIN | ZONE,
            {"Distribution", "DomainRecord"},
            "https://${DomainName}",
            "https://${DomainName}",
        ),
        (
            DOMAIN | {"SiteUrl": "https://shop.example.com"},
            {"ApiDomain", "ApiDomainMapping"},
            "https://${DomainName}",
            None,
        ),
        ({"DomainName": "topup.example.com"} | ZONE, set(), OWN, ""),
        (ZONE, set(), OWN, ""),
    ],
)
def test_a_domain_and_a_firewall_come_together_or_alone(
    whole: Conditions, values: dict[str, str], made: set[str], api_url: str, site_url: str | None
) -> None:
    """What is made, what the output says, and where customers come back to (None: to SiteUrl)."""
    assert whole.resources(values) & EDGE == made
    assert whole.chosen(whole.template["Outputs"]["ApiUrl"]["Value"], values) == {
        "Fn::Sub": api_url
    }
    assert _site(whole, values) == (
        {"Ref": "SiteUrl"} if site_url is None else {"Fn::Sub": site_url} if site_url else ""
    )


def test_stripe_delivers_to_the_apis_own_address_whatever_is_before_it(
    whole: Conditions,
) -> None:
    """A domain that expires, or a firewall with an opinion about large bodies, must not lose
    deliveries.
    """
    assert whole.template["Outputs"]["WebhookUrl"]["Value"] == {
        "Fn::Sub": f"{OWN}/api/v1/payments/webhook"
    }


@pytest.mark.parametrize("values", [{}, DOMAIN, DOMAIN | ZONE, FIREWALL | DOMAIN | ZONE])
def test_the_local_stack_has_none_of_the_optional_parts(
    whole: Conditions, values: dict[str, str]
) -> None:
    """The embedded AWS is never asked for a domain, a firewall, a reserve or a snapshot."""
    local = {**values, "Stage": "local", "SnapStart": "PublishedVersions"}
    assert not whole.resources(local) & EDGE
    assert not whole.holds("ReservesForWebhook", local)
    assert not whole.holds("TakesSnapshots", local)


def test_nothing_refers_to_what_its_condition_excludes(whole: Conditions) -> None:
    """CloudFormation would refuse the stack, for those alone who chose that combination."""
    assert any("Condition" in row for row in whole.template["Resources"].values())
    assert whole.dangling() == []


@pytest.mark.parametrize(
    ("place", "broken", "missed"),
    [
        ("Outputs.ApiUrl.Value", {"Fn::Sub": "https://${Distribution.DomainName}"}, "Distribution"),
        ("Outputs.DomainTarget.Condition", "IsAws", "ApiDomain"),
        ("Resources.ApiDomainMapping.Condition", "HasDomain", "ApiDomain"),
        ("Resources.DomainRecord.Condition", "HasFirewall", None),
        ("Resources.ApiDomain.Condition", "HasZone", "ApiDomain"),
        (
            "Resources.AccessLogs.Metadata",
            {"Of": [{"Fn::GetAtt": ["UserPool", "Arn"]}]},
            "UserPool",
        ),
        (
            "Resources.AccessLogs.Metadata",
            {"Fn::If": ["IsAws", "", {"Ref": "Distribution"}]},
            "Distribution",
        ),
    ],
)
def test_a_reference_without_its_guard_is_found(
    whole: Conditions, place: str, broken: Any, missed: str | None
) -> None:
    """The check above can see: planted ones, in every form; and a record under the firewall's
    condition lacks nothing.
    """
    planted = copy.deepcopy(dict(whole.template))
    section, name, member = place.split(".")
    planted[section][name][member] = broken
    found = Conditions(planted).dangling()
    assert bool(found) is bool(missed)
    assert all(missed and f" refers to {missed}," in line for line in found)


def test_nothing_is_reserved_where_nothing_can_be(whole: Conditions) -> None:
    """0 leaves the property out: a reserve of 0 would switch the webhook off."""
    for value, is_reserved in (("20", True), ("1", True), ("0", False)):
        reserve = whole.template["Resources"]["WebhookFunction"]["Properties"][
            "ReservedConcurrentExecutions"
        ]
        chosen = whole.chosen(reserve, {"WebhookConcurrency": value})
        assert chosen == {"Ref": "WebhookConcurrency" if is_reserved else "AWS::NoValue"}


@pytest.mark.parametrize("runtime", ["python3.11", "python3.12", "python3.13", "python3.14"])
def test_snapshots_are_taken_where_the_runtime_has_them_and_the_stage_asks(
    whole: Conditions, runtime: str
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html: Python 3.12 or newer."""
    for asked, stage in itertools.product(("None", "PublishedVersions"), ("dev", "prod")):
        taken = whole.holds(
            "TakesSnapshots", {"Runtime": runtime, "SnapStart": asked, "Stage": stage}
        )
        assert taken is (asked != "None" and runtime != "python3.11")


@pytest.mark.parametrize(
    ("parameter", "value", "fits"),
    [
        ("CorsOrigins", "", True),
        ("CorsOrigins", "https://shop.example.com,http://localhost:3000", True),
        ("CorsOrigins", "*", False),
        ("CorsOrigins", "https://*", False),
        ("CorsOrigins", "https://shop.example.com/", False),
        ("CorsOrigins", "https://shop.example.com, https://b.example.com", False),
        ("CorsOrigins", "null", False),
        ("WebAclArn", FIREWALL["WebAclArn"], True),
        ("WebAclArn", "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/a/1", False),
        ("CertificateArn", DOMAIN["CertificateArn"], True),
        ("CertificateArn", "topup.example.com", False),
        ("SiteUrl", "", True),
        ("SiteUrl", "https://topup.example.com", True),
        ("SiteUrl", "https://topup.example.com:8443", True),
        ("SiteUrl", "http://localhost:8080", True),
        ("SiteUrl", "https://topup.example.com/", False),
        ("SiteUrl", "https://topup.example.com/shop", False),
        ("SiteUrl", "https://topup.example.com?a=b", False),
        ("SiteUrl", "https://topup.example.com#shop", False),
        ("SiteUrl", "https://me@topup.example.com", False),
        ("SiteUrl", "http://topup.example.com", False),
        ("SiteUrl", "topup.example.com", False),
        ("SesIdentityArn", "arn:aws:ses:eu-west-1:123456789012:identity/example.com", True),
        ("SesIdentityArn", "example.com", False),
        ("SesFrom", "Topup <no-reply@example.com>", True),
        ("SesFrom", "example.com", False),
        (
            "KmsKeyArn",
            "arn:aws-cn:kms:cn-north-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            True,
        ),
        ("KmsKeyArn", "arn:aws:kms:eu-west-1:123456789012:alias/books", False),
    ],
)
def test_a_value_that_could_not_work_is_refused_before_anything_is_made(
    whole: Conditions, parameter: str, value: str, *, fits: bool
) -> None:
    """By the parameter's pattern. A star would open the API to every page there is."""
    assert bool(re.search(whole.template["Parameters"][parameter]["AllowedPattern"], value)) is fits


EVENTS_OUT: Final = {"NotifySecretsSecret", "NotifyUrlPolicy", "NotifyBusPolicy"}
ALARMS_OF_EVENTS: Final = {"EventsDeadAlarm", "NotifyErrorsAlarm"}
URL: Final = {"NotifyUrl": "https://example.com/hook"}
BUS: Final = {"NotifyBus": "default"}


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ({}, set()),
        (URL, {"NotifySecretsSecret", "NotifyUrlPolicy"} | ALARMS_OF_EVENTS),
        (BUS, {"NotifyBusPolicy"} | ALARMS_OF_EVENTS),
        (URL | BUS, EVENTS_OUT | ALARMS_OF_EVENTS),
    ],
)
def test_events_out_cost_nothing_until_they_are_asked_for(
    whole: Conditions, values: dict[str, str], made: set[str]
) -> None:
    """Secrets and alarms are billed by the month, a schedule by its runs, a stream by its reads."""
    assert whole.resources(values) & (EVENTS_OUT | ALARMS_OF_EVENTS) == made
    resources = whole.template["Resources"]
    schedule = resources["NotifyFunctionMinutely"]["Properties"]["State"]
    assert whole.chosen(schedule, values) == ("ENABLED" if values else "DISABLED")
    stream = resources["NotifyFunctionStream"]["Properties"]["Enabled"]
    assert whole.chosen(stream, values) is bool(values)
    variables = resources["NotifyFunction"]["Properties"]["Environment"]["Variables"]
    secret = whole.chosen(variables["NOTIFY_SECRETS_SECRET"], values)
    assert (secret != "") is ("NotifyUrl" in values)
