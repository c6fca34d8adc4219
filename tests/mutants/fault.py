"""One fault that the machine makes: where it is, what it changes, and the changed source."""

import ast
import re
from dataclasses import dataclass
from difflib import unified_diff
from functools import cache, cached_property


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
        whole = f"{before}{self.text}{gap}{after}"
        if gap and not _can_be_read(whole):  # what follows belongs to the same statement
            return f"{before}({self.text}{gap}){after}"
        return whole

    @cached_property
    def diff(self) -> str:
        """Return the changed lines alone, as ``-`` and ``+``."""
        before, _, after = self.span.cut(self.source)
        new = f"{before}{self.text}{after}"
        made = unified_diff(self.source.splitlines(), new.splitlines(), n=0, lineterm="")
        return "\n".join(line for line in made if line[:3] not in ("---", "+++") and line[0] != "@")

    @cached_property
    def change(self) -> str:
        """Return the changed statements as ``-`` and ``+``, each on one line."""
        before, part, after = self.span.cut(self.source)
        first, last = _around(self.source, self.span.line)
        fewer = part.count("\n") - self.text.count("\n")
        old = _plain(_lines(self.source, first, last))
        new = _plain(_lines(f"{before}{self.text}{after}", first, last - fewer))
        made = unified_diff(old, new, n=0, lineterm="")
        return "\n".join(line for line in made if line[:3] not in ("---", "+++") and line[0] != "@")

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what names it wherever it has moved to: the file, the function, and the change."""
        return self.file, self.function, bare(self.change)

    @property
    def is_hot(self) -> bool:
        """Whether it lies in a function, whose code a running process can exchange.

        Not where ``super()`` may go: with it goes the variable that leads to the class.
        """
        return bool(self.function) and "super()" not in self.span.cut(self.source)[1]


def bare(change: str) -> str:
    """Return a change without what only its layout is: spaces, quotes, brackets, comments."""
    code = re.sub(r"(?m)\s+#.*$", "", change)
    code = re.sub(r"(?<=\d)_(?=\d)", "", code)
    return re.sub(r"""[\s"'()]|,(?=\s*[)\]}])""", "", code)


@cache
def _plain(source: str) -> list[str]:
    """Return the lines of a statement with each statement in it on one line."""
    try:
        return ast.unparse(ast.parse(source)).splitlines()
    except SyntaxError:  # a fault that cannot be compiled
        return source.splitlines()


def _lines(source: str, first: int, last: int) -> str:
    return "\n".join(source.split("\n")[first - 1 : last])


def _around(source: str, line: int) -> tuple[int, int]:
    """Return the lines of the module's statement around a line."""
    return next((first, last) for first, last in _statements(source) if first <= line <= last)


@cache
def _statements(source: str) -> list[tuple[int, int]]:
    return [
        (
            min([one.lineno, *(mark.lineno for mark in getattr(one, "decorator_list", []))]),
            one.end_lineno or 0,
        )
        for one in ast.parse(source).body
    ]


def _can_be_read(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True
