"""Finds every place in a source text where a fault can be made: dropped conditions, shifted bounds,
swapped arguments, ...

Left alone is what never runs or what no program reads: annotations, docstrings, texts for people,
and protocols and type variables, of which only the type checker knows.
"""

import ast
from collections.abc import Iterator
from typing import Final

from mutants.changes import changes
from mutants.fault import Fault, Span

TOLD: Final = frozenset({"message", "detail", "why"})
"""Names of texts for people: another wording is no fault."""
SKIPPED: Final = (ast.arguments, ast.Import, ast.ImportFrom, ast.JoinedStr)


def faults_in(file: str, source: str) -> list[Fault]:
    """Return all faults of one file, each once, in the order of its lines."""
    finder = _Finder(file, source)
    finder.visit(ast.parse(source))
    found = {fault.changed: fault for fault in finder.found if fault.changed != source}
    return sorted(
        found.values(),
        key=lambda fault: (fault.span.line, fault.span.column, fault.kind, fault.text),
    )


class _Finder(ast.NodeVisitor):
    """Walks over the code, never over annotations, docstrings and texts for people."""

    def __init__(self, file: str, source: str) -> None:
        self.found: list[Fault] = []
        self._file, self._source = file, source
        self._names: list[str] = []
        self._in_function = 0
        self._statement = 0

    def visit(self, node: ast.AST) -> None:
        """Note the faults of one node, then those inside it."""
        if _is_protocol(node):
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._enter(node)
            return
        if _is_left_alone(node):
            return
        outer = self._statement
        if isinstance(node, ast.stmt):
            self._statement = node.lineno
        self._note(node)
        for child in _inside(node):
            self.visit(child)
        self._statement = outer

    def _enter(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        if not isinstance(node, ast.ClassDef):
            self._statement = node.lineno
            for default in (
                *node.args.defaults,
                *filter(None, node.args.kw_defaults),
                *node.decorator_list,
            ):
                self.visit(default)
        is_function = not isinstance(node, ast.ClassDef)
        self._names.append(node.name)
        self._in_function += is_function
        for child in node.body:
            self.visit(child)
        self._in_function -= is_function
        self._names.pop()

    def _note(self, node: ast.AST) -> None:
        function = ".".join(self._names) if self._in_function else ""
        for kind, place, text in changes(node):
            self.found.append(
                Fault(
                    self._file, function, kind, Span.of(place), text, self._statement, self._source
                )
            )


def _is_protocol(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(
        isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases
    )


def _is_left_alone(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring
    if isinstance(node, ast.Expr) and ast.unparse(node).startswith("assert_never("):
        return True  # where nothing comes, by the type checker
    if (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    ):
        return True
    if isinstance(node, ast.Assign) and any(
        isinstance(one, ast.Name) and one.id in (*TOLD, "__all__") for one in node.targets
    ):
        return True
    if (
        isinstance(node, ast.Assign | ast.AnnAssign)
        and node.value is not None
        and _is_type(node.value)
    ):
        return True
    return isinstance(node, (*SKIPPED, ast.Raise))


def _is_type(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in ("TypeVar", "ParamSpec")
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("Literal", "Callable")
    )


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns") or (
            isinstance(node, ast.keyword) and node.arg in TOLD
        ):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
