"""``topup ledger``: verifies that the books balance, and exports the ledger.

They balance if each customer's payments, ledger entries and balance agree.
"""

from pathlib import Path
from typing import Annotated, Final

import typer
from billing.audit.repair import repair_account
from billing.reconciliation.job import Run

from infra.cli.books.ledger_export import FORMATS, export_entries
from infra.cli.books.verification import PAYMENTS_NAMED_MAX, Verdict, examine
from infra.cli.command import DryRun, Yes, command
from infra.cli.errors import FINE, FOUND_SOMETHING, usage
from infra.cli.operator import Operator
from infra.cli.output import table

SEGMENTS_MAX: Final = 64
Repair = Annotated[
    bool,
    typer.Option(
        "--repair",
        help="Repair payments from Stripe, the ledger from payments, the balance from the ledger.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands ``ledger verify`` and ``ledger export`` to the application."""
    group = typer.Typer(
        help="The ledger: verify, export.", no_args_is_help=True, rich_markup_mode=None
    )
    app.add_typer(group, name="ledger")
    command(group, "verify")(verify)
    command(group, "export")(export)


def verify(
    operator: Operator,
    segments: Annotated[
        int,
        typer.Option(
            "--segments",
            min=1,
            max=SEGMENTS_MAX,
            help="Concurrent readers. More of them use more read units.",
        ),
    ] = 4,
    repair: Repair = False,  # noqa: FBT002 - Typer's own way to declare a flag
    dry_run: DryRun = False,  # noqa: FBT002 - see above
    yes: Yes = False,  # noqa: FBT002 - see above
) -> int:
    """Recompute every account, and verify that the books balance.

    Exit 1 if any account differs, with every difference by account.

    It changes nothing without --repair, which is for accounts of which a restore kept only a part.

    Example: topup ledger verify --segments 8
    """
    acts: list[dict[str, str]] = []
    found = _verify(operator, segments)
    if repair and found.findings:
        users = sorted({row["user_id"] for row in found.findings})
        acts = _repair(operator, users, dry_run=dry_run, yes=yes)
        found = _verify(operator, segments)
    shown = [found.shown()]
    if acts:
        title = "Would be done" if dry_run else "Done"
        rows = [[act["user_id"], act["act"]] for act in acts]
        shown.insert(0, table(title, ("user_id", "act"), rows))
    operator.output.show(found.as_answer() | {"acts": acts}, *shown)
    if found.busy:
        names = ", ".join(found.busy[:PAYMENTS_NAMED_MAX])
        operator.output.tell(f"changed while they were read, run it again: {names}")
    return FOUND_SOMETHING if found.findings or found.busy else FINE


def export(
    operator: Operator,
    form: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write (default: stdout).")
    ] = None,
    user: Annotated[str, typer.Option("--user", help="Only this customer's.")] = "",
) -> None:
    """Write every ledger entry, grouped by customer and not sorted. Memory does not grow.

    In CSV a text that a spreadsheet would run, or that begins with ', gets a ' before it. To
    undo this, remove one ' from every cell that begins with one. Numbers and JSON lines are not
    changed.

    Example: topup ledger export --format jsonl --output ledger.jsonl
    """
    if form not in FORMATS:
        raise usage(f"{form!r} is not a format", f"--format {' or '.join(FORMATS)}")
    if operator.output.as_json:
        form = "jsonl"
    with operator.output.progress("exporting") as bar:
        written = export_entries(operator.books, user, form, output, bar)
    operator.output.tell(f"{written} entries")


def _verify(operator: Operator, segments: int) -> Verdict:
    with operator.output.progress("reading the books") as bar:
        return examine(operator.books, segments, bar)


def _repair(
    operator: Operator, users: list[str], *, dry_run: bool, yes: bool
) -> list[dict[str, str]]:
    """Repair these customers' accounts, and return a row for each change.

    Payments are repaired from Stripe, ledger entries from payments, and balances from the ledger.
    With ``dry_run`` nothing is changed, and the rows say what would be done. The list is empty if
    the operator says no.
    """
    if not dry_run and not operator.output.ask(f"repair {len(users)} accounts?", yes=yes):
        return []
    job = Run(operator.books, operator.gateway, not dry_run, resumes=False)
    acts = []
    with operator.output.progress("repairing", len(users)) as bar:
        for user_id in users:
            acts += [{"user_id": user_id, "act": act} for act in repair_account(job, user_id).acts]
            bar()
    return acts
