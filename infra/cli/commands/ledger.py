"""``topup ledger``: proof that the books balance, and the ledger as a file."""

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
"""How a cell begins that a spreadsheet takes for a formula, the last four in their full-width
forms.

https://owasp.org/www-community/attacks/CSV_Injection
"""
MARK: Final = "'"
"""Before such a cell, and before one that begins with it: whoever takes one away again has the text
as it was."""
Repair = Annotated[
    bool,
    typer.Option(
        "--repair",
        help="Mend it: payments from Stripe, ledger from payments, balance from the ledger.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        help="The ledger: verify, export.", no_args_is_help=True, rich_markup_mode=None
    )
    app.add_typer(group, name="ledger")

    @command(group, "verify")
    def verify(
        operator: Operator,
        segments: Annotated[
            int,
            typer.Option(
                "--segments",
                min=1,
                max=SEGMENTS_MAX,
                help="Readers at once; more cost more read units.",
            ),
        ] = 4,
        repair: Repair = False,  # noqa: FBT002 - Typer's flag
        dry_run: DryRun = False,  # noqa: FBT002 - see above
        yes: Yes = False,  # noqa: FBT002 - see above
    ) -> int:
        """Recompute every account and prove that the books balance.

        Exit 1 with every difference by account.

        Mends nothing, unless --repair: for accounts of which a restore kept only parts.
        """
        acts: list[dict[str, str]] = []
        found = _judgement(operator, segments)
        if repair and found.findings:
            acts = _mend(
                operator,
                sorted({row["user_id"] for row in found.findings}),
                dry_run=dry_run,
                yes=yes,
            )
            found = _judgement(operator, segments)
        done = table(
            "Would be done" if dry_run else "Done",
            ("account", "what"),
            [[*act.values()] for act in acts],
        )
        operator.output.show(
            found.as_answer() | {"acts": acts}, *([done] if acts else []), found.shown()
        )
        if found.busy:
            operator.output.tell(
                f"kept changing while they were read, run it again: {', '.join(found.busy[:PAYMENTS_NAMED_MAX])}"
            )
        return FOUND_SOMETHING if found.findings or found.busy else FINE

    @command(group, "export")
    def export(
        operator: Operator,
        form: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
        output: Annotated[
            Path | None, typer.Option("--output", "-o", help="A file; by default stdout.")
        ] = None,
        user: Annotated[str, typer.Option("--user", help="Only this customer's.")] = "",
    ) -> None:
        """Write every ledger entry, as it is read: the memory it takes does not grow.

        Grouped by customer, not sorted.

        In CSV a text that a spreadsheet would run gets a ' before it, and so does one that begins
        with '. To undo it, take one ' away from every cell that begins with one. Numbers and JSON
        lines are as they are.
        """
        if form not in FORMATS:
            raise usage(f"{form!r} is no format", f"--format {' or '.join(FORMATS)}")
        rows = operator.books.store.pages("ledger", user) if user else _everyones(operator.books)
        with _opened(output) as file, operator.output.progress("exporting") as bar:
            written = _written(
                _writer("jsonl" if operator.output.as_json else form, file), rows, bar
            )
        operator.output.tell(f"{written} entries")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reading of the whole books came to. ``busy``: accounts that would not hold still."""

    accounts: int
    units: int
    findings: list[dict[str, Any]]
    busy: list[str]

    def as_answer(self) -> dict[str, Any]:
        """Plain data; of many differences the first hundred."""
        return {
            "accounts": self.accounts,
            "ledger_units": self.units,
            "differences": self.findings[:SHOWN_MAX],
            "difference_count": len(self.findings),
            "not_judged": self.busy,
        }

    def shown(self) -> RenderableType:
        """The same for people."""
        verdict = f"{len(self.findings)} differences" if self.findings else "the books balance"
        title = f"{self.accounts} accounts, {self.units} units in the ledger: {verdict}"
        shown = self.findings[:SHOWN_MAX]
        rows = [
            [row["user_id"], row["rule"], row["expected"], row["found"], ", ".join(row["payments"])]
            for row in shown
        ]
        return (
            table(title, ("account", "what must hold", "expected", "found", "payments"), rows)
            if rows
            else title
        )


def examine(books: Books, segments: int, bar: Bar) -> Judgement:
    """Read everything, then look again at what does not seem to agree."""
    with tally_file() as tallies:
        read_all(books, segments, bar, tallies)
        findings, busy = judged(books, tallies, bar)
        return Judgement(tallies.accounts, tallies.units, findings, busy)


def _judgement(operator: Operator, segments: int) -> Judgement:
    with operator.output.progress("reading the books") as bar:
        return examine(operator.books, segments, bar)


def _mend(
    operator: Operator, users: list[str], *, dry_run: bool, yes: bool
) -> list[dict[str, str]]:
    """One account after the other. Returns what was done, or would be."""
    if not dry_run and not operator.output.ask(f"repair {len(users)} accounts?", yes=yes):
        return []
    job = Run(operator.books, operator.gateway, not dry_run, resumes=False)
    acts = []
    with operator.output.progress("mending", len(users)) as bar:
        for user_id in users:
            acts += [{"user_id": user_id, "act": act} for act in mending.mend(job, user_id).acts]
            bar()
    return acts


def read_all(books: Books, segments: int, bar: Bar, into: TallyFile) -> None:
    """Every table in parallel segments; each reader adds what it has to one file."""

    def read(job: tuple[Table, int]) -> None:
        _segment(books, job[0], job[1], segments, bar, into)

    with ThreadPoolExecutor(segments) as pool:
        list(pool.map(read, product(TABLES, range(segments))))


def judged(books: Books, tallies: TallyFile, bar: Bar) -> tuple[list[dict[str, Any]], list[str]]:
    """The suspicions of the scan, each looked at again: findings, and accounts that would not hold still."""
    findings: list[dict[str, Any]] = []
    busy: list[str] = []
    for user_id in sorted(tallies.suspects()):
        bar(now=f"looking again at {user_id}")
        tally = settled_tally(books.store, user_id)
        if tally is None:
            busy.append(user_id)
        elif differences := list(tally.differences(user_id)):
            findings += _named(books, user_id, differences)
    return findings, busy


def _named(books: Books, user_id: str, differences: list[Difference]) -> list[dict[str, Any]]:
    payments = list(disagreeing_payments(books.store, user_id))[:PAYMENTS_NAMED_MAX]
    return [row.as_answer() | {"payments": payments} for row in differences]


def _segment(
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


def _everyones(books: Books) -> Iterator[Item]:
    after = None
    while True:
        books.store.deadline.begin()
        page = books.store.scan("ledger", after=after)
        yield from page.items
        if (after := page.after) is None:
            return


def _written(write: Callable[[Item], None], rows: Iterator[Item], bar: Bar) -> int:
    count = 0
    for row in rows:
        write({name: row.get(name, "") for name in COLUMNS})
        bar()
        count += 1
    return count


def _writer(form: str, file: TextIO) -> Callable[[Item], None]:
    if form == "jsonl":
        return lambda row: _ignored(file.write(json_line(row)))
    writer = csv.DictWriter(file, COLUMNS)
    writer.writeheader()
    return lambda row: _ignored(
        writer.writerow({name: neutral(value) for name, value in row.items()})
    )


def neutral(cell: object) -> object:
    """Return a cell that no spreadsheet runs.

    Only texts are changed: a number stays a number, negative ones too.
    """
    if isinstance(cell, str) and cell.startswith((MARK, *RUN_BY_SPREADSHEETS)):
        return MARK + cell
    return cell


def _ignored(_: object) -> None:
    """How much was written does not matter."""


@contextmanager
def _opened(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        yield file
