"""``topup reconcile``: compares Stripe with the books, and repairs the differences.

The books are the stack's tables, with payments, balances and the ledger.
"""

import re
from typing import Annotated, Final

import typer
from billing.clock import epoch
from billing.reconciliation import run
from billing.reconciliation.job import Run
from billing.reconciliation.report import Report

from infra.cli.command import DryRun, Yes, command
from infra.cli.errors import FINE, FOUND_SOMETHING, UNREACHABLE, usage
from infra.cli.operator import Operator
from infra.cli.output import Bar, table

SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400}
DAYS_MAX: Final = 3650


Repair = Annotated[bool, typer.Option("--repair", help="Settle what the books missed.")]


def register(app: typer.Typer) -> None:
    """Add the command ``reconcile`` to the application."""

    @command(app, "reconcile")
    def reconcile(
        operator: Operator,
        since: Annotated[str, typer.Option("--since", help="How far back: 30m, 24h, 7d.")] = "24h",
        repair: Repair = False,  # noqa: FBT002 - Typer's own way to declare a flag
        dry_run: DryRun = False,  # noqa: FBT002 - see above
        yes: Yes = False,  # noqa: FBT002 - see above
    ) -> int:
        """Compare all sessions, refunds and disputes with the books, both ways.

        It changes nothing without --repair.

        Exit 1 on differences, or if something could not be compared; 3 if nothing could.

        Example: topup reconcile --since 7d --repair
        """
        seconds, repair = duration(since), repair and not dry_run
        question = f"settle everything that was missed in the last {since}?"
        if repair and not operator.output.ask(question, yes=yes):
            return FINE
        start = epoch(operator.books.clock()) - seconds
        with operator.output.progress("comparing") as bar:
            report = compare(operator, start, bar, repair=repair)
        _show(operator, report)
        if report.failed and not report.compared:
            return UNREACHABLE
        return FOUND_SOMETHING if report.failed or report.differing > report.repaired else FINE


def compare(operator: Operator, start: int, bar: Bar, *, repair: bool) -> Report:
    """Compare Stripe with our tables since ``start`` (in Unix seconds), and return the report.

    With ``repair`` what the tables lack is settled. The scheduled reconciliation is not affected:
    it continues where it stopped.
    """
    seen = 0

    def report(phase: str, looked_at: int) -> None:
        nonlocal seen
        bar(looked_at - seen, now=phase)
        seen = looked_at

    job = Run(operator.books, operator.gateway, repair, lambda: True, resumes=False)
    return run.run(job, start, progress=report)


def duration(text: str) -> int:
    """Return the seconds in a duration, for example ``30m``, ``24h`` or ``7d``.

    Raises OperatorError for another text, for 0, and for more than ten years.
    """
    match = re.fullmatch(r"(\d{1,5})([mhd])", text)
    seconds = int(match[1]) * SECONDS[match[2]] if match else 0
    if not 0 < seconds <= DAYS_MAX * SECONDS["d"]:
        raise usage(f"{text!r} is not a duration", "as 30m, 24h or 7d, at most ten years")
    return seconds


def _show(operator: Operator, report: Report) -> None:
    rows = [
        [row.kind, row.stripe_id, row.payment_id, "repaired" if row.repaired else "", row.detail]
        for row in report.differences
    ]
    title = f"{report.differing} differences, {report.repaired} repaired; "
    title += f"{report.matched} agree, {report.not_ours} are not ours"
    if report.failed:
        title += f"; {report.failed} could not be compared"
    if report.failed and report.given_up:
        title += ", and after many in a row the run stopped"
    columns = ("kind", "stripe_id", "payment_id", "repaired", "detail")
    operator.output.show(report.as_answer(), table(title, columns, rows))
