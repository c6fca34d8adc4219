"""The stand's own figures for each graph of the deployed dashboard, aggregated as CloudWatch would."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from support.loglines import Invocation, invocations
from support.stand import Stand

STEPS: Final = 36
"""Points on a graph. CloudWatch draws one for every period; a run is shorter than that."""
Point = tuple[float, float]
"""Epoch seconds, value."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric of a graph: a value for each step, None where nothing was measured."""

    label: str
    color: str
    values: tuple[float | None, ...]

    @property
    def measured(self) -> bool:
        """Anything at all."""
        return any(value is not None for value in self.values)


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured while a stand was used, between two epoch seconds."""

    stand: Stand
    begun: float
    ended: float
    calls: Sequence[Invocation]
    lines: Sequence[Mapping[str, Any]]
    names: Mapping[str, str]
    """Logical ids by physical names."""

    @classmethod
    def of(cls, stand: Stand, begun: float, ended: float) -> "Run":
        """With every line that the functions have logged."""
        calls = list(invocations(stand))
        names = {physical: logical for logical, physical in stand.resources().items()}
        return cls(
            stand, begun, ended, calls, [line for call in calls for line in call.objects()], names
        )

    @property
    def step(self) -> float:
        """Seconds."""
        return (self.ended - self.begun) / STEPS

    def dashboard(self) -> dict[str, Any]:
        """As it was deployed, with this stack's names in it."""
        name = f"{self.stand.facts['stack_name']}-{self.stand.facts['aws_region']}"
        found: dict[str, Any] = json.loads(
            self.stand.boto("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
        )
        return found

    def curves(self, widget: Mapping[str, Any]) -> list[Curve]:
        """Of one graph, in its order."""
        found = []
        for namespace, metric, dimension, value, shown in widget["metrics"]:
            points = self._points(namespace, metric, {"Name": dimension, "Value": value})
            found.append(
                Curve(
                    shown["label"],
                    shown["color"],
                    tuple(self._steps(points, shown.get("stat", widget["stat"]))),
                )
            )
        return found

    def _points(self, namespace: str, metric: str, dimension: Mapping[str, str]) -> list[Point]:
        if namespace == "Topup":
            return [point for line in self.lines for point in _emitted(line, metric, dimension)]
        if namespace == "AWS/ApiGateway":
            return [point for line in self.lines for point in _answered(line, metric)]
        function = self.names[dimension["Value"]] if namespace == "AWS/Lambda" else ""
        return [
            point
            for call in self.calls
            if call.function == function
            for point in _called(call, metric)
        ]

    def _steps(self, points: Sequence[Point], stat: str) -> Iterator[float | None]:
        for number in range(STEPS):
            low = self.begun + number * self.step
            values = sorted(value for when, value in points if low <= when < low + self.step)
            yield aggregate(values, stat)


def aggregate(values: Sequence[float], stat: str) -> float | None:
    """Of one step, ``values`` in order.

    None without any: a sum of nothing is no point on CloudWatch's graphs either.
    """
    if not values:
        return None
    if stat.startswith("p"):
        return values[math.ceil(len(values) * float(stat[1:]) / 100) - 1]
    return {"Sum": sum(values), "Maximum": values[-1], "SampleCount": float(len(values))}[stat]


def _emitted(line: Mapping[str, Any], metric: str, dimension: Mapping[str, str]) -> Iterator[Point]:
    """Out of one line in CloudWatch's embedded metric format."""
    if "_aws" in line and metric in line and line[dimension["Name"]] == dimension["Value"]:
        yield from ((line["_aws"]["Timestamp"] / 1000, value) for value in line[metric])


def _called(call: Invocation, metric: str) -> Iterator[Point]:
    """Lambda's own figures: the embedded AWS has them in its log of every call, as metrics of some calls only."""
    figures = {"Invocations": 1.0, "Duration": call.milliseconds, "Errors": float(call.failed)}
    if metric in figures:
        yield call.ended, figures[metric]


def _answered(line: Mapping[str, Any], metric: str) -> Iterator[Point]:
    """API Gateway counts what it answers; the stand's has no metrics, but each request has its line."""
    if line.get("message") == "request" and "status" in line and metric in ("Count", "4xx", "5xx"):
        yield (
            datetime.fromisoformat(line["timestamp"]).timestamp(),
            float(metric in ("Count", f"{line['status'] // 100}xx")),
        )
