"""Writes ledger entries as CSV or as JSON lines, safe for spreadsheets."""

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from billing.books import Books
from billing.errors import Item

from infra.cli.output import Bar, json_line

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
"""A spreadsheet runs a cell that begins with one of these. The last four are full-width forms.

https://owasp.org/www-community/attacks/CSV_Injection
"""
MARK: Final = "'"
"""Is put before a cell that begins with one of RUN_BY_SPREADSHEETS, or with MARK itself. To undo
this, remove one MARK from each cell that begins with it.
"""


def export_entries(books: Books, user_id: str, form: str, output: Path | None, bar: Bar) -> int:
    """Write the ledger entries of one user, and return how many there are.

    ``user_id`` "" means all users. ``form`` is one of FORMATS. ``output`` None is stdout.
    """
    rows = books.store.pages("ledger", user_id) if user_id else _all_entries(books)
    with _open(output) as file:
        return _write_all(_writer(form, file), rows, bar)


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
    """Return ``cell``, with a ' before a text that a spreadsheet would run as a formula.

    A text that begins with ' gets another one, so that removing one ' restores every text.
    """
    if isinstance(cell, str) and cell.startswith((MARK, *RUN_BY_SPREADSHEETS)):
        return MARK + cell
    return cell


def _ignore(_: object) -> None:
    """Discard the number that a file's write method returned."""


@contextmanager
def _open(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        yield file
