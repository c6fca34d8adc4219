"""``topup ledger``: verifies that the books balance, and exports the ledger."""

import csv
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Final, TextIO

import typer
from billing.books import Books
from billing.errors import Item
from billing.reconciliation import repair as mending
from billing.reconciliation.audit import (
    TABLES,
    Difference,
    Tallies,
    disagreeing_payments,
    settled_tally,
)
from billing.reconciliation.run import Run
from billing.storage.writes import Table
from rich.console import RenderableType

from infra.cli.command import DryRun, Operator, Yes, command
from infra.cli.errors import FINE, FOUND_SOMETHING, usage
from infra.cli.output import Bar, json_line, table
from infra.cli.tallies import ACCOUNTS_IN_MEMORY_MAX, TallyFile, tally_file

SEGMENTS_MAX: Final = 64
SHOWN_MAX: Final = 100
PAYMENTS_NAMED_MAX: Final = 5
COLUMNS: Final = (
    "user_id",
    "entry_id",
    "type",
    "units",
    "reference_type",
    "reference_id",
    "booked_at",
    "note",
)
DIFFERENCE: Final = ("user_id", "rule", "expected", "found", "payments")
FORMATS: Final = ("csv", "jsonl")
RUN_BY_SPREADSHEETS: Final = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "\uff1d",
    "\uff0b",
    "\uff0d",
    "\uff20",
)
"""A spreadsheet runs a cell that begins with one of these. The last four are full-width forms.

https://owasp.org/www-community/attacks/CSV_Injection
"""
MARK: Final = "'"
"""Is put before such a cell, and before a cell that begins with it. Remove one to undo this."""
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

    Exit 1 with every difference by account.

    It changes nothing without --repair, which is for accounts that a restore kept in part.

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
    rows = _all_entries(operator.books)
    if user:
        rows = operator.books.store.pages("ledger", user)
    if operator.output.as_json:
        form = "jsonl"
    with _open(output) as file, operator.output.progress("exporting") as bar:
        written = _write_all(_writer(form, file), rows, bar)
    operator.output.tell(f"{written} entries")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of verifying all books.

    ``busy`` are accounts that changed while they were read.
    """

    accounts: int
    units: int
    findings: list[dict[str, Any]]
    busy: list[str]

    def as_answer(self) -> dict[str, Any]:
        """Return the result as plain data, with the first hundred differences."""
        return {
            "accounts": self.accounts,
            "ledger_units": self.units,
            "differences": self.findings[:SHOWN_MAX],
            "difference_count": len(self.findings),
            "not_judged": self.busy,
        }

    def shown(self) -> RenderableType:
        """Return the result as tables for the terminal."""
        verdict = f"{len(self.findings)} differences" if self.findings else "the books balance"
        title = f"{self.accounts} accounts, {self.units} units in the ledger: {verdict}"
        if not self.findings:
            return title
        rows = [[*_cells(row)] for row in self.findings[:SHOWN_MAX]]
        return table(title, DIFFERENCE, rows)


def _cells(row: dict[str, Any]) -> Iterator[object]:
    for name in DIFFERENCE[:-1]:
        yield row[name]
    yield ", ".join(row["payments"])


def examine(books: Books, segments: int, bar: Bar) -> Verdict:
    """Read all tables, then read again the accounts that do not balance."""
    with tally_file() as tallies:
        read_all(books, segments, bar, tallies)
        findings, busy = judged(books, tallies, bar)
        return Verdict(tallies.accounts, tallies.units, findings, busy)


def _verify(operator: Operator, segments: int) -> Verdict:
    with operator.output.progress("reading the books") as bar:
        return examine(operator.books, segments, bar)


def _repair(
    operator: Operator, users: list[str], *, dry_run: bool, yes: bool
) -> list[dict[str, str]]:
    """Repair one account after the other. Returns what was done, or would be done."""
    if not dry_run and not operator.output.ask(f"repair {len(users)} accounts?", yes=yes):
        return []
    job = Run(operator.books, operator.gateway, not dry_run, resumes=False)
    acts = []
    with operator.output.progress("repairing", len(users)) as bar:
        for user_id in users:
            acts += [
                {"user_id": user_id, "act": act}
                for act in mending.repair_account(job, user_id).acts
            ]
            bar()
    return acts


def read_all(books: Books, segments: int, bar: Bar, into: TallyFile) -> None:
    """Read every table in concurrent segments. The readers add their tallies to one file."""

    def read(job: tuple[Table, int]) -> None:
        _segment(books, job[0], job[1], segments, bar, into)

    with ThreadPoolExecutor(segments) as pool:
        list(pool.map(read, product(TABLES, range(segments))))


def judged(books: Books, tallies: TallyFile, bar: Bar) -> tuple[list[dict[str, Any]], list[str]]:
    """Read each suspected account again.

    Returns the findings, and the accounts that kept changing.
    """
    findings: list[dict[str, Any]] = []
    busy: list[str] = []
    for user_id in sorted(tallies.suspects()):
        bar(now=f"reading again {user_id}")
        tally = settled_tally(books.store, user_id)
        if tally is None:
            busy.append(user_id)
        elif differences := list(tally.differences(user_id)):
            findings += _with_payments(books, user_id, differences)
    return findings, busy


def _with_payments(
    books: Books, user_id: str, differences: list[Difference]
) -> list[dict[str, Any]]:
    payments = list(disagreeing_payments(books.store, user_id))[:PAYMENTS_NAMED_MAX]
    return [row.as_answer() | {"payments": payments} for row in differences]


def _segment(  # noqa: PLR0917 - what each reader needs
    books: Books, name: Table, segment: int, segments: int, bar: Bar, into: TallyFile
) -> None:
    tallies, after = Tallies(), None
    while True:
        if len(tallies) > ACCOUNTS_IN_MEMORY_MAX:
            into.take(tallies)
        books.store.deadline.begin()
        page = books.store.scan(name, segment, segments, after)
        for item in page.items:
            tallies.add(name, item)
        bar(len(page.items))
        if (after := page.after) is None:
            into.take(tallies)
            return


def _all_entries(books: Books) -> Iterator[Item]:
    after = None
    while True:
        books.store.deadline.begin()
        page = books.store.scan("ledger", after=after)
        yield from page.items
        if (after := page.after) is None:
            return


def _write_all(write: Callable[[Item], None], rows: Iterator[Item], bar: Bar) -> int:
    count = 0
    for row in rows:
        write({name: row.get(name, "") for name in COLUMNS})
        bar()
        count += 1
    return count


def _writer(form: str, file: TextIO) -> Callable[[Item], None]:
    if form == "jsonl":
        return lambda row: _ignore(file.write(json_line(row)))
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    return lambda row: _ignore(
        writer.writerow({name: neutral(value) for name, value in row.items()})
    )


def neutral(cell: object) -> object:
    """Return a cell's text, with a ' before it if a spreadsheet would run it as a formula."""
    if isinstance(cell, str) and cell.startswith((MARK, *RUN_BY_SPREADSHEETS)):
        return MARK + cell
    return cell


def _ignore(_: object) -> None:
    """Ignore how much was written."""


@contextmanager
def _open(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        yield file
