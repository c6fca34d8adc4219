"""One fault that the machine makes: where it is, what it changes, and the changed source."""

import ast
from dataclasses import dataclass
from difflib import unified_diff
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a source text, as lines and bytes of UTF-8 in them (``ast`` counts bytes)."""

    line: int
    column: int
    end_line: int
    end_column: int

    @classmethod
    def of(cls, node: ast.AST) -> "Span":
        """Where a node stands."""
        place = node.lineno, node.col_offset, node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]
        return cls(*place)

    def cut(self, source: str) -> tuple[str, str, str]:
        """Return what stands before, in and after it."""
        lines = source.encode().splitlines(keepends=True)
        start = sum(map(len, lines[: self.line - 1])) + self.column
        end = sum(map(len, lines[: self.end_line - 1])) + self.end_column
        whole = b"".join(lines)
        return whole[:start].decode(), whole[start:end].decode(), whole[end:].decode()


@dataclass(frozen=True)
class Fault:
    """``function`` is empty for code that runs when the module is loaded.

    ``span`` is replaced by ``text``.

    ``statement`` is the first line of the statement that it lies in.
    """

    file: str
    function: str
    kind: str
    span: Span
    text: str
    statement: int
    source: str

    @cached_property
    def changed(self) -> str:
        """The source with the fault, with every later line at its old number."""
        before, old, after = self.span.cut(self.source)
        gap = "\n" * max(0, old.count("\n") - self.text.count("\n"))
        if self.text.endswith(")"):  # within it, for what follows may belong to the same statement
            return f"{before}{self.text[:-1]}{gap}){after}"
        return f"{before}{self.text}{gap}{after}"

    @cached_property
    def diff(self) -> str:
        """Return the changed lines alone, as ``-`` and ``+``."""
        before, _, after = self.span.cut(self.source)
        new = f"{before}{self.text}{after}"
        made = unified_diff(self.source.splitlines(), new.splitlines(), n=0, lineterm="")
        return "\n".join(line for line in made if line[:3] not in ("---", "+++") and line[0] != "@")

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what names it wherever its lines have moved to: the file, the function, and the change."""
        return self.file, self.function, " ".join(self.diff.split())

    @property
    def is_hot(self) -> bool:
        """Whether it lies in a function, whose code a running process can exchange."""
        return bool(self.function)
