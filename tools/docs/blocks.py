"""The generated blocks that need no run: what the template, the code and the commands declare.

Each function prints one block; cog puts it into the page.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from billing.stripe_api.events import SUBSCRIBED
from billing.telemetry import METRICS
from repo.declared import alarms, make_targets, stand_variables
from repo.declared import parameters as declared_parameters
from repo.declared import variables as declared_variables
from typer.testing import CliRunner

from infra.cli.app import app

__all__ = ["alarm", "events", "help_of", "metrics", "parameters", "stack", "targets", "variables"]

PLAIN: Final = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}


def parameters() -> None:
    """Print the template's parameters with their descriptions and defaults."""
    _table(
        (name, f"{row['Description']} Default: `{row.get('Default', '')}`")
        for name, row in declared_parameters().items()
    )


def variables() -> None:
    """Print the functions' environment variables and where each value comes from."""
    _table(declared_variables().items())


def metrics() -> None:
    """Print the metrics that the functions count."""
    _table(METRICS.items())


def stack() -> None:
    """Print the variables that choose a local stack's ports and folders."""
    _table(stand_variables().items())


def targets() -> None:
    """Print the Makefile's targets with their help."""
    _table((f"make {name}", line) for name, line in make_targets().items())


def events() -> None:
    """Print the types of Stripe's events that the webhook endpoint subscribes to."""
    _out("".join(f"- `{kind}`\n" for kind in SUBSCRIBED))


def alarm(name: str) -> None:
    """Print what an alarm says and when it fires."""
    properties = alarms()[name]
    _out(f"{properties['AlarmDescription']}: {_condition(properties)}.\n")


def help_of(command: str = "") -> None:
    """Print what ``topup COMMAND --help`` prints."""
    words = [*command.split(), "--help"]
    done = CliRunner().invoke(app, words, prog_name="topup", env=PLAIN)
    assert done.exit_code == 0, done.output
    lines = [line.rstrip() for line in done.output.strip().splitlines()]
    _out("\n".join(["```console", f"$ topup {' '.join(words)}", *lines, "```", ""]))


def _condition(properties: Mapping[str, Any]) -> str:
    metric = properties["MetricName"]
    if properties["ComparisonOperator"] == "LessThanThreshold":
        minutes = properties["Period"] * properties["EvaluationPeriods"] // 60
        return f"`{metric}` not counted once in {minutes} minutes"
    return f"`{metric}` above {properties['Threshold']}"


def _table(rows: Iterable[tuple[str, object]]) -> None:
    _out("| name | what it means |\n|---|---|\n")
    for name, meaning in rows:
        cell = str(meaning).replace("|", "/")
        _out(f"| `{name}` | {cell} |\n")


def _out(text: str) -> None:
    sys.stdout.write(text)
