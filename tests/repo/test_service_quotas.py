"""What the services themselves bound, held against the template: the API, the alarms, the queue,
the tables, the pool.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
from repo.declared import dashboard
from repo.transformed import LONGEST_STACK_NAME, longest, made


def _operations() -> Iterator[dict[str, Any]]:
    for path in made()["HttpApi"]["Body"]["paths"].values():
        yield from path.values()


def test_the_api_has_room() -> None:
    """Routes, integrations, authorizers, audiences, scopes and the seconds of an answer.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
    """
    operations = list(_operations())
    assert len(operations) > 15, "what this looks for is there"
    assert len(operations) <= 300, "one integration each"
    authorizers = made()["HttpApi"]["Body"]["components"]["securitySchemes"]
    assert len(authorizers) <= 10
    for row in authorizers.values():
        assert len(row["x-amazon-apigateway-authorizer"]["jwtConfiguration"]["audience"]) <= 50
    scopes = [
        scope
        for operation in operations
        for guard in operation.get("security", [])
        for scope in guard.values()
    ]
    assert max(len(names) for names in scopes) <= 10
    for operation in operations:
        assert operation["x-amazon-apigateway-integration"].get("timeoutInMillis", 30_000) <= 30_000


def test_a_function_lets_the_api_call_it_by_every_route() -> None:
    """20 KB for all statements of one:
    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
    """
    permissions = [row["FunctionName"]["Ref"] for row in made("AWS::Lambda::Permission").values()]
    statement = 600  # bytes: AWS adds an id and the function's ARN to ours
    assert max(Counter(permissions).values()) * statement <= 20 * 1024


def test_an_alarm_is_named_and_described_within_bounds() -> None:
    """At most 1 024 characters:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html.
    """
    alarms = made("AWS::CloudWatch::Alarm")
    assert len(alarms) > 10
    for row in alarms.values():
        assert len(row["AlarmDescription"]) <= 1024
        assert row["Period"] in (10, 20, 30) or row["Period"] % 60 == 0
        assert row["Period"] * row["EvaluationPeriods"] <= 7 * 24 * 3600
        assert len(row["Dimensions"]) <= 30


def test_the_dashboard_fits() -> None:
    """500 widgets, 500 metrics a widget, 2 500 in all:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html.
    """
    widgets = dashboard(made()["OperatorDashboard"])["widgets"]
    metrics = [len(widget["properties"].get("metrics", [])) for widget in widgets]
    assert len(metrics) <= 500
    assert max(metrics) <= 500
    assert sum(metrics) <= 2500


def test_the_queue_and_what_reads_it_are_within_bounds() -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html."""
    for row in made("AWS::SQS::Queue").values():
        assert 60 <= row["MessageRetentionPeriod"] <= 1_209_600
        assert 0 <= row.get("VisibilityTimeout", 30) <= 43_200
    for name, row in made("AWS::Lambda::EventSourceMapping").items():
        most = 10_000 if name.endswith("Stream") else 10
        assert 1 <= row["BatchSize"] <= most, "more messages of a queue need a batching window"


def test_a_tables_indexes_are_as_many_as_dynamodb_takes() -> None:
    """Twenty global and five local ones:
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html.
    """
    for row in made("AWS::DynamoDB::Table").values():
        assert len(row.get("GlobalSecondaryIndexes", [])) <= 20
        assert len(row.get("LocalSecondaryIndexes", [])) <= 5


def test_the_pool_is_within_bounds() -> None:
    """Names, scopes and the sign-in address:
    https://docs.aws.amazon.com/cognito/latest/developerguide/quotas.html.

    A pool's name is the stack's, 128 at most (API_CreateUserPool), and so is a stack's own.
    """
    (server,) = made("AWS::Cognito::UserPoolResourceServer").values()
    assert len(server["Scopes"]) <= 100
    assert len(LONGEST_STACK_NAME) <= 128
    for client in made("AWS::Cognito::UserPoolClient").values():
        assert len(client["AllowedOAuthScopes"]) <= 50
        assert len(client.get("CallbackURLs", [])) <= 100
    prefix = made()["UserPoolDomain"]["Domain"]["Fn::Sub"][0]
    assert len(prefix.replace("${AWS::AccountId}", "1" * 12).replace("${Id}", "1" * 8)) <= 63


def test_a_rule_is_within_bounds() -> None:
    """A pattern of 2 048 characters, five targets:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html.
    """
    rules = made("AWS::Events::Rule")
    assert len(rules) == 5
    for row in rules.values():
        assert len(json.dumps(row.get("EventPattern", {}))) <= 2048
        assert len(row["Targets"]) <= 5
        assert len(longest(row.get("Description", ""))) <= 512


NAMES: Final = {
    # https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis.html
    "SignInApi.Name": 128,
    # https://docs.aws.amazon.com/cognito-user-identity-
    # pools/latest/APIReference/API_CreateUserPool.html
    "UserPool.UserPoolName": 128,
    # https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_DistributionConfig.html
    "Distribution.DistributionConfig.Comment": 128,
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
    "OperatorDashboard.DashboardName": 255,
}
"""What is called by the stack's own name, and how long it may be."""


@pytest.mark.parametrize(("place", "quota"), NAMES.items())
def test_what_is_named_after_the_stack_may_be_as_long(place: str, quota: int) -> None:
    """A stack's name has up to 128 characters."""
    found: Any = made()
    for member in place.split("."):
        found = found[member]
    assert 128 <= len(longest(found)) <= quota
