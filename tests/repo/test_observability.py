"""The dashboard and the alarms speak of metrics that there are, leave none of ours out, and name
resources of the template.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

import pytest
from billing.telemetry import METRICS
from functional.template import read as whole
from repo.declared import alarms, dashboard

FREE_METRICS: Final = 50
"""A dashboard with more is not one of an account's three free ones:
https://aws.amazon.com/cloudwatch/pricing/"""
COLUMNS: Final = 24
KNOWN: Final = {
    "Topup": ("service", set(METRICS)),
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": ("FunctionName", {"Invocations", "Errors", "Throttles", "Duration"}),
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html (a REST
    # API's are called otherwise)
    "AWS/ApiGateway": ("ApiId", {"Count", "4xx", "5xx", "Latency"}),
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": (
        "QueueName",
        {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
    ),
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
    "AWS/DynamoDB": (
        "TableName",
        {"WriteThrottleEvents", "TransactionConflict", "ConsumedWriteCapacityUnits"},
    ),
}
"""By namespace: the dimension that we look them up by, and the names."""


def _dashboard() -> dict[str, Any]:
    return dashboard(_resources()["OperatorDashboard"]["Properties"])


def _resources() -> dict[str, Any]:
    found: dict[str, Any] = whole()["Resources"]
    return found


def _widgets(kind: str) -> list[dict[str, Any]]:
    return [widget["properties"] for widget in _dashboard()["widgets"] if widget["type"] == kind]


def _shown() -> Iterator[tuple[str, str, str]]:
    """Namespace, metric and dimension of every line of every graph."""
    for widget in _widgets("metric"):
        for namespace, metric, dimension, _, _ in widget["metrics"]:
            yield namespace, metric, dimension


def _watched() -> Iterator[tuple[str, str, str]]:
    """The same of every alarm."""
    for row in alarms().values():
        (dimension,) = row["Dimensions"]
        yield row["Namespace"], row["MetricName"], dimension["Name"]


@pytest.mark.parametrize("found", [_shown, _watched])
def test_every_metric_of_the_dashboard_and_of_the_alarms_exists(found: Any) -> None:
    """A graph of a metric that is never emitted is empty for ever, and an alarm on it
    is silent for ever.
    """
    rows = list(found())
    assert len(rows) > 10
    assert not [row for row in rows if row[1] not in KNOWN[row[0]][1] or row[2] != KNOWN[row[0]][0]]


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    """What is worth counting is worth seeing."""
    assert {metric for namespace, metric, _ in _shown() if namespace == "Topup"} == set(METRICS)


def test_our_metrics_are_those_of_this_stack() -> None:
    """The dimension that the functions write (tests/functional/test_log_lines.py looks
    at what they write).
    """
    values = [
        metric[3]
        for widget in _widgets("metric")
        for metric in widget["metrics"]
        if metric[0] == "Topup"
    ]
    values += [
        row["Dimensions"][0]["Value"]["Ref"]
        for row in alarms().values()
        if row["Namespace"] == "Topup"
    ]
    assert set(values) == {"${AWS::StackName}", "AWS::StackName"}
    told = whole()["Globals"]["Function"]["Environment"]["Variables"]
    assert (told["POWERTOOLS_SERVICE_NAME"], told["POWERTOOLS_METRICS_NAMESPACE"]) == (
        {"Ref": "AWS::StackName"},
        "Topup",
    )


def test_every_alarm_is_at_the_top_of_the_dashboard() -> None:
    (widget,) = _widgets("alarm")
    assert widget["alarms"] == [f"${{{name}Alarm.Arn}}" for name in alarms()]
    assert _dashboard()["widgets"][0]["type"] == "alarm"


def test_an_alarm_without_data_fires_where_missing_data_is_the_fault() -> None:
    """Schedules that do not run count nothing."""
    silent = {name for name, row in alarms().items() if row["TreatMissingData"] == "breaching"}
    assert silent == {"RecoverMissing", "ReconcileMissing"}


def test_the_dashboard_stays_one_of_the_free_ones() -> None:
    assert len(list(_shown())) <= FREE_METRICS


def test_the_dashboard_has_no_hole_and_no_overlap() -> None:
    """On the grid of 24 columns."""
    cells = [
        {
            (column, line)
            for column in range(row["x"], row["x"] + row["width"])
            for line in range(row["y"], row["y"] + row["height"])
        }
        for row in _dashboard()["widgets"]
    ]
    assert all(not one & other for one, other in combinations(cells, 2))
    taken = set[tuple[int, int]]().union(*cells)
    assert taken == {
        (column, line)
        for column in range(COLUMNS)
        for line in range(max(line for _, line in taken) + 1)
    }
