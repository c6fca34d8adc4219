"""``topup replay``: settles an event that was lost or refused, as the webhook would.

To settle an event of Stripe's is to book what it says, for example a payment's units.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from billing.settlement import settlement
from billing.stripe_api import events
from billing.stripe_api.claims import Ignored

from infra.cli.command import DryRun, Yes, command
from infra.cli.errors import FINE, FOUND_SOMETHING, usage
from infra.cli.operator import Operator
from infra.cli.output import Bar, table
from infra.cli.previews import preview

COLUMNS: Final = ("event_id", "type", "status", "units", "detail")


def register(app: typer.Typer) -> None:
    """Add the command ``replay`` to the application."""

    @command(app, "replay")
    def replay(
        operator: Operator,
        event_id: Annotated[
            str,
            typer.Argument(metavar="[EVENT_ID]", help="evt_...; Stripe keeps events for 30 days."),
        ] = "",
        file: Annotated[
            Path | None,
            typer.Option(
                "--file",
                exists=True,
                dir_okay=False,
                help="Events as JSON: one, a list, or one a line. You vouch for them.",
            ),
        ] = None,
        dry_run: DryRun = False,  # noqa: FBT002 - Typer's own way to declare a flag
        yes: Yes = False,  # noqa: FBT002 - see above
    ) -> int:
        """Settle an event again, by its id at Stripe or from a file.

        It is idempotent: an event that was settled before changes nothing.

        Example: topup replay evt_1PqX... --dry-run
        """
        if bool(event_id) == bool(file):
            repair = "topup replay evt_..., or topup replay --file events.jsonl"
            raise usage("one of EVENT_ID and --file is needed", repair)
        found: list[Mapping[str, Any]] = []
        found += read(file) if file else [operator.gateway.event(event_id)]
        rows = [_preview(operator, event) for event in found]
        if not dry_run:
            _confirm(operator, rows, yes=yes)
            with operator.output.progress("settling", len(found)) as bar:
                rows = [_settle(operator, event, bar) for event in found]
        cells = [[row[name] for name in COLUMNS] for row in rows]
        operator.output.show({"events": rows}, table(f"{len(rows)} events", COLUMNS, cells))
        return FOUND_SOMETHING if any(row["status"] == "parked" for row in rows) else FINE


def read(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the events in a file. Raises OperatorError that names the first invalid line."""
    text = file.read_text(encoding="utf-8")
    try:
        whole = json.loads(text)
        rows = whole if isinstance(whole, list) else [whole]
    except ValueError:
        rows = [
            _line(file, number, line)
            for number, line in enumerate(text.splitlines(), 1)
            if line.strip()
        ]
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or row.get("object") != "event":
            repair = 'each must be an object with "object": "event", as Stripe delivers it'
            raise usage(f"{file}: number {number} is no Stripe event", repair)
        yield row


def _line(file: Path, number: int, line: str) -> object:
    try:
        return json.loads(line)
    except ValueError as error:
        repair = "the file must be one JSON document, or one on each line"
        raise usage(f"{file}, line {number}: {error}", repair) from error


def _preview(operator: Operator, event: Mapping[str, Any]) -> dict[str, Any]:
    fact = events.parse(event, operator.books.ours)
    if isinstance(fact, Ignored):
        return _row(event, "ignored", 0, fact.reason)
    return _row(event, "would_be_settled", 0, preview(operator.books, fact))


def _settle(operator: Operator, event: Mapping[str, Any], bar: Bar) -> dict[str, Any]:
    fact = events.parse(event, operator.books.ours)
    bar()
    if isinstance(fact, Ignored):
        return _row(event, "ignored", 0, fact.reason)
    operator.books.store.deadline.begin()
    outcome = settlement.apply(operator.books, fact)
    return _row(event, outcome.status, outcome.units, outcome.why)


def _confirm(operator: Operator, rows: list[dict[str, Any]], *, yes: bool) -> None:
    question = rows[0]["detail"] if len(rows) == 1 else f"{len(rows)} events"
    if not operator.output.ask(f"settle {question}?", yes=yes):
        raise typer.Exit(FINE)


def _row(event: Mapping[str, Any], status: str, units: int, detail: str) -> dict[str, Any]:
    return {
        "event_id": event.get("id"),
        "type": event.get("type"),
        "status": status,
        "units": units,
        "detail": detail,
    }
