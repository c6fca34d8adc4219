"""``topup import``: gives units to many customers, from a file with one grant a line."""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from billing.api.members import moment
from billing.books import Books
from billing.errors import BillingError, RetryableError
from billing.grants.api import expiry_of
from billing.grants.booking import book, check_id, find_booked
from billing.grants.grant import Grant, GrantError

from infra.cli.command import DryRun, Yes, command
from infra.cli.errors import OperatorError, unreachable, usage
from infra.cli.operator import Operator
from infra.cli.output import facts

COLUMNS: Final = ("user", "units", "expires_at", "id")
SHOWN_MAX: Final = 20
"""How many bad lines an error message names."""
DIGITS_MAX: Final = 10
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave bad lines out and book the others.")
]


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a file to import, by line number.

    ``grants`` has the good ones: each gives units to one customer (a grant). ``faults`` has a
    sentence for each bad line that says what is wrong.
    """

    grants: Mapping[int, Grant]
    faults: Mapping[int, str]


def register(app: typer.Typer) -> None:
    """Add the command ``import`` to the application."""

    @command(app, "import")
    def import_grants(  # noqa: PLR0917 - the command line's own arguments
        operator: Operator,
        file: Annotated[Path, typer.Argument(help="A .csv or .jsonl file.")],
        reason: Annotated[str, typer.Option("--reason", help="Why; kept in the ledger.")],
        skip_bad: SkipBad = False,  # noqa: FBT002 - Typer's own way to declare a flag
        dry_run: DryRun = False,  # noqa: FBT002 - see above
        yes: Yes = False,  # noqa: FBT002 - see above
    ) -> None:
        """Give units to many customers: one line each with user, units, expires_at and id.

        A line without expires_at gives units that never expire. Each id is booked once, so the
        same file may be imported again. Nothing is booked while a line is bad.

        Example: topup import units.csv --reason "moved from the old system" --dry-run
        """
        found = _check(operator, read(file, reason), skip_bad=skip_bad)
        sums = _sums(found)
        if dry_run:
            answer = {"status": "would_be_granted", **sums}
        elif operator.output.ask(_question(sums), yes=yes):
            answer = {"status": "granted", **sums, **_book_all(operator, found)}
        else:
            answer = {"status": "not_granted", **sums}
        operator.output.show(answer, facts(f"import {file.name}", answer))


def read(file: Path, reason: str) -> Lines:
    """Return the grants in a file, and the faults of its bad lines.

    Raises OperatorError if the file cannot be read, or is CSV with columns other than COLUMNS.
    ``reason`` becomes the reason of every grant.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise usage(f"{file} cannot be read: {error}", "give a .csv or .jsonl file") from error
    rows = _of_jsonl(text) if file.suffix == ".jsonl" else _of_csv(text)
    grants: dict[int, Grant] = {}
    faults: dict[int, str] = {}
    first: dict[str, int] = {}
    for number, row in rows:
        try:
            grant = _grant(row, reason)
        except (BillingError, GrantError) as error:
            faults[number] = error.detail if isinstance(error, BillingError) else str(error)
            continue
        if grant.grant_id in first:
            faults[number] = f"its id is that of line {first[grant.grant_id]}"
        else:
            first[grant.grant_id], grants[number] = number, grant
    return Lines(grants, faults)


def _of_csv(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    rows = csv.DictReader(text.splitlines(keepends=True), restkey="more")
    if set(rows.fieldnames or ()) != set(COLUMNS):
        first = f"the first line must be: {','.join(COLUMNS)}"
        raise usage("the file's columns are not those of an import", first)
    for row in rows:
        units = row["units"] or ""
        is_number = units.isascii() and units.isdigit() and len(units) <= DIGITS_MAX
        yield rows.line_num, {**row, "units": int(units) if is_number else units}


def _of_jsonl(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None


def _grant(row: Any, reason: str) -> Grant:
    """Return the grant (units for one customer) in a parsed line.

    Raises BillingError for a bad line.
    """
    members = set(row) if isinstance(row, Mapping) else set()
    if not {"user", "units", "id"} <= members <= set(COLUMNS):
        detail = f"it must have exactly: {', '.join(COLUMNS)}"
        raise BillingError("invalid_request", detail)
    units, user, grant_id = row["units"], row["user"], row["id"]
    if type(units) is not int or units < 1:
        detail = f"units must be a whole number from 1: {str(units)[:40]!r}"
        raise BillingError("invalid_request", detail)
    if not isinstance(user, str) or not isinstance(grant_id, str):
        raise BillingError("invalid_request", "user and id must be texts")
    when = moment({"expires_at": row.get("expires_at") or None}, "expires_at")
    return Grant(grant_id, user, units, reason, expiry_of(when))


def _check(operator: Operator, found: Lines, *, skip_bad: bool) -> Lines:
    """Return the lines, with grants that cannot be booked among the bad ones.

    Nothing is booked. Raises OperatorError that names the bad lines, unless ``skip_bad`` is true.
    """
    grants, faults = dict(found.grants), dict(found.faults)
    with operator.output.progress("checking", len(grants)) as bar:
        for number, grant in found.grants.items():
            operator.books.store.deadline.begin()
            try:
                grant.check(operator.books.clock())
                find_booked(operator.books, grant)
                check_id(operator.books, grant)
            except GrantError as error:
                faults[number] = str(error)
                del grants[number]
            bar()
    if faults and not skip_bad:
        told = [f"line {number}: {faults[number]}" for number in sorted(faults)]
        remedy = "mend these lines, or leave them out with --skip-bad"
        raise usage("\n".join(_first(told)) + "\nnothing was booked", remedy)
    return Lines(grants, faults)


def _first(told: list[str]) -> Iterable[str]:
    yield from told[:SHOWN_MAX]
    if len(told) > SHOWN_MAX:
        yield f"and {len(told) - SHOWN_MAX} more"


def _sums(found: Lines) -> dict[str, Any]:
    grants = found.grants.values()
    return {
        "lines": len(found.grants),
        "customers": len({grant.user_id for grant in grants}),
        "units": sum(grant.units for grant in grants),
        "units_that_expire": sum(grant.units for grant in grants if grant.expires_at),
        "bad_lines": sorted(found.faults),
    }


def _question(sums: Mapping[str, Any]) -> str:
    return f"give {sums['units']} units to {sums['customers']} customers?"


def _book_all(operator: Operator, found: Lines) -> dict[str, int]:
    """Give every line's units, and return how many grants were booked now, and how many before.

    Raises OperatorError at the first line that fails. The deadline for retries starts again at
    each line.
    """
    done = {"granted": 0, "already": 0}
    with operator.output.progress("importing", len(found.grants)) as bar:
        for number, grant in found.grants.items():
            done[_book(operator.books, number, grant)] += 1
            bar()
    return {"booked_now": done["granted"], "booked_before": done["already"]}


def _book(books: Books, number: int, grant: Grant) -> str:
    books.store.deadline.begin()
    try:
        return str(book(books, grant)["status"])
    except RetryableError as error:
        message = f"line {number}: the outcome is not known: {error}"
        raise unreachable(message, "import the file again: each id is booked once only") from error
    except GrantError as error:
        message = f"line {number}: {error}"
        raise OperatorError(1, message, f"{error.remedy}; then import the file again") from error
