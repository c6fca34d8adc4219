"""``topup watch``: shows the functions' metrics by minute, read from their logs.

The metrics are in the log lines themselves:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Final

import typer
from botocore.exceptions import ClientError
from rich.console import Group, RenderableType
from rich.live import Live

from infra.cli.command import command
from infra.cli.operator import Operator
from infra.cli.output import table
from infra.cli.target import TargetStack

MINUTE_MS: Final = 60_000
FINAL_AFTER_MINUTES: Final = 2
"""Log lines arrive late, so a minute's metrics are read again until the minute is this old."""
READERS: Final = 8
SHOWN: Final = (
    "settled",
    "recorded",
    "duplicate",
    "ignored",
    "parked",
    "clawed_back_units",
    "refused_debits",
    "refused_signatures",
    "outcome_unknown",
    "internal_errors",
)
"""The metrics of billing.telemetry that are shown, each under its own name."""
TOLD: Final = ("events_delivered", "events_retried", "events_dead")
"""The metrics of events to the seller. They have their own table, which is shown only if any of
them is above 0.
"""
COUNTED: Final = (*SHOWN, *TOLD)
Minutes = dict[int, Counter[str]]


def register(app: typer.Typer) -> None:
    """Add the command ``watch`` to the application."""

    @command(app, "watch")
    def watch(
        operator: Operator,
        minutes: Annotated[
            int, typer.Option("--minutes", min=1, max=1440, help="How many minutes back.")
        ] = 15,
        every: Annotated[
            int, typer.Option("--every", min=1, max=3600, help="Seconds between two readings.")
        ] = 5,
        # FBT002: it is Typer's own way to declare a flag.
        once: Annotated[  # noqa: FBT002
            bool, typer.Option("--once", help="Read once and end.")
        ] = False,
    ) -> None:
        """Watch settlements, refusals, parked events and errors, minute by minute.

        The columns are the metrics' own names. Ctrl-C ends it; --json prints a line each time.

        Example: topup watch --minutes 60 --once
        """
        readings = _readings(operator.target, minutes, every)
        live = operator.output.out.is_terminal and not (once or operator.output.as_json)
        with contextlib.suppress(KeyboardInterrupt):
            if live:
                with Live(console=operator.output.out, auto_refresh=False) as view:
                    for seen in readings:
                        view.update(_shown(seen), refresh=True)
            for seen in islice(readings, 1 if once else None):
                operator.output.show(answer(seen), _shown(seen))


def read_minutes(target: TargetStack, seen: Minutes, minutes: int, now_ms: int) -> Minutes:
    """Return the metrics' counts in each of the last ``minutes``, by epoch minute.

    ``seen`` is the previous result, {} at first. Its old minutes are copied. The last two are read
    again, because log lines can arrive late.
    """
    this_minute = now_ms // MINUTE_MS
    first = this_minute - minutes + 1
    final_to = max(seen, default=0) - FINAL_AFTER_MINUTES
    final = {minute: counts for minute, counts in seen.items() if first <= minute <= final_to}
    since = max(first, final_to + 1)
    found: Minutes = {minute: Counter() for minute in range(since, this_minute + 1)}
    logs = target.client("logs")
    groups = target.log_groups()
    with ThreadPoolExecutor(READERS) as pool:
        for lines in pool.map(lambda group: list(_lines(logs, group, since * MINUTE_MS)), groups):
            for line in lines:
                found.setdefault(line["timestamp"] // MINUTE_MS, Counter()).update(
                    figures(line["message"])
                )
    return final | found


def figures(message: str) -> dict[str, int]:
    """Return the metrics in one line of a log, or {} for a line without metrics."""
    try:
        line = json.loads(message)
    except ValueError:
        return {}
    if not isinstance(line, dict) or "_aws" not in line:
        return {}
    return {
        name: round(sum(value if isinstance(value, list) else [value]))
        for name in COUNTED
        if (value := line.get(name)) is not None
    }


def answer(seen: Minutes) -> dict[str, Any]:
    """Return the metrics of each minute as data for --json, the oldest minute first.

    They are the metrics in COUNTED, for example how many of Stripe's events were settled.
    """
    rows = [
        {"minute": _clock(minute), **{name: seen[minute][name] for name in COUNTED}}
        for minute in sorted(seen)
    ]
    return {"minutes": rows}


def _readings(target: TargetStack, minutes: int, every: int) -> Iterator[Minutes]:
    seen: Minutes = {}
    while True:
        seen = read_minutes(target, seen, minutes, _now_ms())
        yield seen
        time.sleep(every)  # CloudWatch has no notification of new lines, so poll


def _lines(logs: Any, group: str, start_ms: int) -> Iterator[Mapping[str, Any]]:
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, startTime=start_ms, filterPattern='"CloudWatchMetrics"'
    )
    try:
        for page in pages:
            yield from page["events"]
    except ClientError as error:
        # a function that was never called has no log
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise


def _shown(seen: Minutes) -> RenderableType:
    shown = _table(f"The last {len(seen)} minutes, UTC", seen, SHOWN)
    told = {minute: found for minute, found in seen.items() if any(found[name] for name in TOLD)}
    if not told:
        return shown
    return Group(shown, _table("Events out", told, TOLD))


def _table(title: str, seen: Minutes, names: Sequence[str]) -> RenderableType:
    rows = [
        [_clock(minute)[11:16], *(seen[minute][name] or "" for name in names)]
        for minute in sorted(seen)
    ]
    total = sum(seen.values(), Counter[str]())
    rows.append(["all", *(total[name] for name in names)])
    return table(title, ("minute", *names), rows, tight=True)


def _clock(minute: int) -> str:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _now_ms() -> int:
    return int(time.time() * 1000)
