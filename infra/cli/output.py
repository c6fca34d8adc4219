"""What a command prints: one JSON document for programs, or tables for people; progress and questions go to stderr."""

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
"""Into a pipe or a file no line is folded before this many columns."""


class Bar(Protocol):
    """Progress of one long task."""

    def __call__(self, steps: int = 1, *, now: str = "") -> None:
        """So many steps were done; ``now`` says what is under way."""


class Screen:
    """One per command."""

    def __init__(self, *, as_json: bool) -> None:
        """``as_json``: nothing but JSON on stdout."""
        self.as_json = as_json
        self.out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
        self.err = Console(stderr=True, highlight=False)

    def show(self, answer: Any, *renderables: RenderableType) -> None:
        """The answer as JSON, or as what people read."""
        if self.as_json:
            self.line(answer)
            return
        for renderable in renderables:
            self.out.print(renderable, markup=False)

    def line(self, answer: Any) -> None:
        """One JSON document on one line of stdout."""
        sys.stdout.write(json_line(answer))
        sys.stdout.flush()

    def tell(self, text: str) -> None:
        """A remark beside the answer, on stderr."""
        self.err.print(Text(printable(text)))

    def ask(self, question: str, *, yes: bool) -> bool:
        """Whether to go on. Without a person at the terminal, only ``--yes`` is an answer."""
        if yes:
            return True
        if self.as_json or not sys.stdin.isatty():
            raise usage(
                "this changes something, and nobody is there to be asked",
                "add --yes, or --dry-run to see what would be done",
            )
        self.err.print(Text(f"{printable(question)} [y/N] "), end="")
        return input().strip().lower() in ("y", "yes")

    def ask_secret(self, question: str) -> str:
        """What a person types, unseen. Without a person at the terminal there is no answer."""
        if self.as_json or not sys.stdin.isatty():
            raise usage("a key is needed, and nobody is there to be asked", "set STRIPE_API_KEY")
        return getpass.getpass(printable(question))

    @contextmanager
    def progress(self, text: str, total: int | None = None) -> Iterator[Bar]:
        """A bar on stderr while something takes longer; ``total`` None when it is not known."""
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
                progress.update(
                    task, advance=steps, description=printable(f"{text}: {now}") if now else None
                )

            yield advance


def printable(value: object) -> str:
    """Text that may come from strangers, safe for a terminal: control characters are spelled out."""
    text = "" if value is None else str(value)
    return "".join(
        char if char.isprintable() or char == "\n" else repr(char)[1:-1] for char in text
    )


def json_line(answer: Any) -> str:
    """One JSON document and a line end.

    What a terminal would obey is escaped as JSON escapes it: the document is the same.
    """
    text = json.dumps(answer, ensure_ascii=False, default=_plain)
    if text.isprintable():
        return f"{text}\n"
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text) + "\n"


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, tight: bool = False
) -> RenderableType:
    """Numbers stand right, everything else left; nothing is read as markup, and no id is cut: it is folded where it must be."""
    made = Table(header_style="bold", box=None, pad_edge=False, collapse_padding=tight)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(
            *(
                Text(printable(cell), justify="right" if isinstance(cell, int) else "left")
                for cell in row
            )
        )
    return Group(_heading(title), *([made] if made.row_count else ["  none"]), "")


def facts(title: str, pairs: Mapping[str, object]) -> RenderableType:
    """Names and values below each other."""
    made = Table(show_header=False, box=None, pad_edge=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs.items():
        made.add_row(
            Text(name.replace("_", " ")), Text("-" if value in (None, "") else printable(value))
        )
    return Group(_heading(title), made, "")


def _heading(title: str) -> Text:
    return Text(printable(title), style="bold")


def _plain(value: object) -> Any:
    if isinstance(value, frozenset | set):
        return sorted(value)
    return str(value)
