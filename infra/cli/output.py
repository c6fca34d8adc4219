"""Prints a command's answer as one JSON document or as tables.

Progress and questions go to stderr.
"""

import getpass
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from rich.console import Console, Group, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from infra.cli.errors import usage

WIDTH_OF_FILES: Final = 240
"""In a pipe or a file, lines are folded at this many columns."""


class Bar(Protocol):
    """A progress bar, which is called after each step of a long task."""

    def __call__(self, steps: int = 1, *, now: str = "") -> None:
        """Move the bar on by ``steps``, and show ``now``, if given, as the present step."""


class Output:
    """Prints the answer, the progress and the questions of one command."""

    def __init__(self, *, as_json: bool) -> None:
        """``as_json``: print JSON alone on stdout."""
        self.as_json = as_json
        self.out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
        self.err = Console(stderr=True, highlight=False)

    def show(self, answer: Any, *renderables: RenderableType) -> None:
        """Print ``answer`` as JSON if the command has --json, otherwise print ``renderables``."""
        if self.as_json:
            self.line(answer)
            return
        for renderable in renderables:
            self.out.print(renderable, markup=False)

    def line(self, answer: Any) -> None:
        """Print ``answer`` (any plain data) as JSON, on one line of stdout."""
        sys.stdout.write(json_line(answer))
        sys.stdout.flush()

    def tell(self, text: str) -> None:
        """Print a remark on stderr."""
        self.err.print(Text(printable(text)))

    def ask(self, question: str, *, yes: bool) -> bool:
        """Ask a yes-or-no question, and return whether the answer is yes.

        With ``yes`` (the option --yes) nothing is asked, and the result is True. Raises
        OperatorError with --json, or if there is no terminal.
        """
        if yes:
            return True
        if self.as_json or not sys.stdin.isatty():
            message = "this changes something, and there is no terminal to confirm it"
            raise usage(message, "add --yes, or --dry-run to see what would be done")
        self.err.print(Text(f"{printable(question)} [y/N] "), end="")
        return input().strip().lower() in ("y", "yes")

    def ask_secret(self, question: str) -> str:
        """Return a secret that the operator types without echo.

        Raises OperatorError without a terminal.
        """
        if self.as_json or not sys.stdin.isatty():
            raise usage(
                "a key is needed, and there is no terminal to ask for it", "set STRIPE_API_KEY"
            )
        return getpass.getpass(printable(question))

    @contextmanager
    def progress(self, text: str, total: int | None = None) -> Iterator[Bar]:
        """Show a progress bar on stderr during a ``with`` block, and yield the bar.

        ``total`` None is an unknown number of steps.
        """
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(
            *columns, console=self.err, transient=True, disable=not self.err.is_terminal
        ) as progress:
            task = progress.add_task(text, total=total)

            def advance(steps: int = 1, *, now: str = "") -> None:
                description = printable(f"{text}: {now}") if now else None
                progress.update(task, advance=steps, description=description)

            yield advance


def printable(value: object) -> str:
    """Return untrusted text with its control characters escaped, safe for a terminal."""
    text = "" if value is None else str(value)
    return "".join(
        char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text
    )


def json_line(answer: Any) -> str:
    """Return a value as one line of JSON.

    Control characters are escaped, so that a terminal does not run them.
    """
    text = json.dumps(answer, ensure_ascii=False, default=_plain)
    if text.isprintable():
        return f"{text}\n"
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text) + "\n"


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, tight: bool = False
) -> RenderableType:
    """Return a table. Numbers are on the right, and long ids are folded, never cut.

    Cells are plain text: markup in them has no effect. With ``tight`` the columns have less space
    between them.
    """
    made = Table(header_style="bold", box=None, pad_edge=False, collapse_padding=tight)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*map(_cell, row))
    return Group(_heading(title), *([made] if made.row_count else ["  none"]), "")


def _cell(value: object) -> Text:
    return Text(printable(value), justify="right" if isinstance(value, int) else "left")


def facts(title: str, pairs: Mapping[str, object]) -> RenderableType:
    """Return a titled list of names and values, to print on the terminal.

    An empty value is shown as ``-``.
    """
    made = Table(show_header=False, box=None, pad_edge=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        shown = "-" if value in (None, "") else printable(value)
        made.add_row(Text(name.replace("_", " ")), Text(shown))
    return Group(_heading(title), made, "")


def _heading(title: str) -> Text:
    return Text(printable(title), style="bold")


def _plain(value: object) -> Any:
    if isinstance(value, frozenset | set):
        return sorted(value)
    return str(value)
