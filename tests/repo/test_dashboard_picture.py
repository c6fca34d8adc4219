"""The picture in the docs is of the dashboard that is deployed, and drawn of figures as CloudWatch would make them."""

import json
from html import escape
from typing import Any

import pytest
from billing.telemetry import METRICS
from functional.template import read
from repo.declared import alarms
from support.loglines import _invocation

from tools.docs.dashboard_figures import STEPS, Curve, _answered, _called, _emitted, aggregate
from tools.docs.dashboard_picture import PICTURE, svg

DASHBOARD: dict[str, Any] = json.loads(
    read()["Resources"]["OperatorDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
)
GRAPHS = [widget["properties"] for widget in DASHBOARD["widgets"] if widget["type"] == "metric"]


@pytest.mark.parametrize("name", alarms())
def test_the_picture_shows_every_alarm(name: str) -> None:
    """After a change of the dashboard: `make docs`."""
    assert f">{name}<" in PICTURE.read_text()


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph["title"])
def test_the_picture_shows_every_graph_and_every_metric(graph: dict[str, Any]) -> None:
    """By their names."""
    shown = PICTURE.read_text()
    assert not [
        text
        for text in (graph["title"], *(row[4]["label"] for row in graph["metrics"]))
        if f">{escape(text)}<" not in shown
    ]


def test_the_picture_needs_no_other_host_and_is_small() -> None:
    """It is read as it is, in the dark too."""
    shown = PICTURE.read_text()
    assert shown.count("http") == shown.count("http://www.w3.org/2000/svg") == 1
    assert "prefers-color-scheme: dark" in shown
    assert len(shown) < 100_000


@pytest.mark.parametrize(
    ("stat", "value"),
    [
        ("Sum", 5050),
        ("Maximum", 100),
        ("SampleCount", 100),
        ("p50", 50),
        ("p95", 95),
        ("p99", 99),
        ("p100", 100),
    ],
)
def test_a_step_is_aggregated_as_its_statistic_says(stat: str, value: float) -> None:
    """Percentiles by nearest rank."""
    assert aggregate([float(number) for number in range(1, 101)], stat) == value
    assert aggregate([], stat) is None


def test_every_statistic_of_the_dashboard_is_known() -> None:
    """A new one is drawn, not guessed."""
    stats = {row[4].get("stat", graph["stat"]) for graph in GRAPHS for row in graph["metrics"]}
    assert all(aggregate([1.0], stat) == 1.0 for stat in stats)


def test_only_this_stacks_metrics_are_drawn() -> None:
    """As CloudWatch tells them apart by their dimension."""
    line = {"_aws": {"Timestamp": 7000}, "service": "topup-prod", "settled": [1.0, 2.0]}
    assert list(_emitted(line, "settled", {"Name": "service", "Value": "topup-prod"})) == [
        (7.0, 1.0),
        (7.0, 2.0),
    ]
    assert not list(_emitted(line, "settled", {"Name": "service", "Value": "topup-dev"}))
    assert not list(
        _emitted(
            {"message": "request", "service": "topup-prod"},
            "settled",
            {"Name": "service", "Value": "topup-prod"},
        )
    )


def test_calls_of_functions_are_counted_from_their_reports() -> None:
    """Lambda writes one at the end of every call."""
    report = "REPORT RequestId: 8f507cfc\tDuration: 12.5 ms\tBilled Duration: 13 ms\tMemory Size: 256 MB\tMax Memory Used: 61 MB"
    messages = (
        "START RequestId: 8f507cfc Version: $LATEST",
        '{"message":"request"}',
        "END RequestId: 8f507cfc",
        report,
    )
    call = _invocation(
        "WebhookFunction", [{"message": message, "timestamp": 7000} for message in messages]
    )
    assert call.lines == ('{"message":"request"}',)
    assert [
        point
        for metric in ("Invocations", "Duration", "Errors", "Throttles")
        for point in _called(call, metric)
    ] == [*((7.0, 1.0), (7.0, 12.5), (7.0, 0.0))]
    failed = _invocation(
        "WebhookFunction", [{"message": "Traceback (most recent call last):", "timestamp": 7000}]
    )
    assert list(_called(failed, "Errors")) == [(7.0, 1.0)]


def test_answers_of_the_api_are_counted_by_their_status() -> None:
    """From the line of each request."""
    line = {"message": "request", "status": 502, "timestamp": "2026-11-24 15:44:20,653+0000"}
    assert [
        value
        for metric in ("Count", "4xx", "5xx", "Latency")
        for _, value in _answered(line, metric)
    ] == [1, 0, 1]


def test_what_was_not_counted_is_hollow_and_what_no_stand_measures_is_said() -> None:
    """Zero and nothing are two things."""
    hollow = [
        [Curve(row[4]["label"], row[4]["color"], (None,) * STEPS) for row in graph["metrics"]]
        for graph in GRAPHS
    ]
    shown = svg(DASHBOARD, hollow)
    assert shown.count("only AWS has these") == len(GRAPHS)
    assert shown.count('fill="none" stroke="#') == sum(len(graph["metrics"]) for graph in GRAPHS)
    assert len(METRICS) < shown.count("<text")
