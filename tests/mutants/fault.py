"""One fault that the machine makes: where it is, what it changes, and the changed source."""

import ast
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
        if not gap:
            return f"{before}{self.text}{after}"
        if self.text.endswith(")"):  # within it, for what follows may belong to the same statement
            return f"{before}{self.text[:-1]}{gap}){after}"
        if _is_expression(self.text):
            return f"{before}({self.text}{gap}){after}"
        return f"{before}{self.text}{gap}{after}"

    @cached_property
    def diff(self) -> str:
        """Return the changed statements alone, as ``-`` and ``+``, one a line whatever their
        layout.
        """
        first, last = _function_lines(self.source, self.span.line)
        before, after = (_code(text, first, last) for text in (self.source, self.changed))
        made = unified_diff(before, after, n=0, lineterm="")
        return "\n".join(line for line in made if line[:3] not in ("---", "+++") and line[0] != "@")

    @property
    def key(self) -> tuple[str, str, str]:
        """Return its name, which no other layout changes: the file, the
        function, and the change.
        """
        return self.file, self.function, " ".join(self.diff.split())

    @property
    def is_hot(self) -> bool:
        """Whether it lies in a function, whose code a running process can exchange."""
        return bool(self.function)


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return False
    return True


@cache
def _functions(source: str) -> tuple[tuple[int, int], ...]:
    """Return the first and the last line of each function, the shortest first."""
    found = [
        (min(line.lineno for line in (node, *node.decorator_list)), node.end_lineno or node.lineno)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return tuple(sorted(found, key=lambda lines: lines[1] - lines[0]))


def _function_lines(source: str, line: int) -> tuple[int, int]:
    """Return the lines of the innermost function around a line, or all lines of the file."""
    around = (lines for lines in _functions(source) if lines[0] <= line <= lines[1])
    return next(around, (1, source.count("\n") + 1))


def _code(source: str, first: int, last: int) -> list[str]:
    """Return these lines' code as ast.unparse prints it: one statement a line."""
    lines = source.splitlines()[first - 1 : last]
    if lines[0].startswith(" "):
        lines.insert(0, "if True:")
    return ast.unparse(ast.parse("\n".join(lines))).splitlines()
