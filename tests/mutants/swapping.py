"""Runs inside the tests' process: notes which lines a test runs, and exchanges the code of
functions that are loaded already.
"""

import ast
import gc
import importlib.abc
import importlib.machinery
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import _lru_cache_wrapper
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

HIT: Final = "__topup_hit__"


class Lines:
    """The lines that ran since they were last asked for, by file; also those that ran in a forked
    child.
    """

    def __init__(self) -> None:
        """None yet."""
        self._hit: set[tuple[str, int]] = set()
        self._children = os.open(tempfile.gettempdir(), os.O_TMPFILE | os.O_RDWR | os.O_APPEND)
        self._is_child = False
        os.register_at_fork(after_in_child=self._begin_child)

    def add(self, place: tuple[str, int]) -> None:
        """Note one."""
        if place not in self._hit:
            self._hit.add(place)
            if self._is_child:
                os.write(self._children, f"{json.dumps(place)}\n".encode())

    def take(self) -> set[tuple[str, int]]:
        """Return them and forget them."""
        told = os.pread(self._children, os.fstat(self._children).st_size, 0)
        os.ftruncate(self._children, 0)
        taken = {*self._hit, *((file, line) for file, line in map(json.loads, told.splitlines()))}
        self._hit.clear()
        return taken

    def _begin_child(self) -> None:
        self._is_child = True
        self._hit.clear()


class _Noting(ast.NodeTransformer):
    """Before each statement in a function, a note that it is reached."""

    def __init__(self, file: str) -> None:
        self._file = file

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Note the statements of a function."""
        self._note(node)
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        """The same."""
        self._note(node)
        return node

    def _note(self, node: ast.AST) -> None:
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                setattr(
                    node, name, [part for statement in block for part in self._noted(statement)]
                )
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            self._note(part)

    def _noted(self, statement: ast.stmt) -> Iterator[ast.stmt]:
        if isinstance(statement, ast.Nonlocal | ast.Global) or _is_docstring(statement):
            yield statement
            return
        self._note(statement)
        text = ast.parse(f"{HIT}(({self._file!r}, {statement.lineno}))").body[0]
        yield ast.fix_missing_locations(ast.copy_location(text, statement))
        yield statement


class Finder(importlib.abc.MetaPathFinder):
    """Loads the modules of ``files`` with notes, or from the text in ``texts``
    where there is one.
    """

    def __init__(
        self, root: Path, files: Sequence[str], texts: dict[str, str], *, notes: bool
    ) -> None:
        """``files`` are relative to ``root``."""
        self.lines = Lines()
        self.texts, self.notes = texts, notes
        self.caches: list[_lru_cache_wrapper[Any]] = []
        self._files = {str(root / file): file for file in files}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the usual spec, with our loader if it is one of our files."""
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.origin not in self._files:
            return None
        spec.loader = _Loader(fullname, spec.origin, self, self._files[spec.origin])
        return spec

    def code(self, path: str, file: str) -> CodeType:
        """Compile a file as it is to be loaded."""
        tree = ast.parse(self.texts.get(file) or Path(path).read_text(encoding="utf-8"))
        if self.notes:
            tree = ast.fix_missing_locations(_Noting(file).visit(tree))
        code: CodeType = compile(tree, path, "exec")
        return code

    def functions(self) -> dict[str, list[FunctionType]]:
        """Return every live function of our files, by file."""
        found: dict[str, list[FunctionType]] = defaultdict(list)
        for one in gc.get_objects():
            if isinstance(one, FunctionType) and one.__code__.co_filename in self._files:
                found[self._files[one.__code__.co_filename]].append(one)
        return found

    def exchange(self, file: str, functions: Sequence[FunctionType]) -> None:
        """Give the live functions the code that the file has now."""
        path = next(path for path, name in self._files.items() if name == file)
        codes = {
            (code.co_qualname, code.co_firstlineno): code
            for code in _all_codes(self.code(path, file))
        }
        for function in functions:
            old = function.__code__
            new = codes.get((old.co_qualname, old.co_firstlineno))
            if new is not None and new.co_freevars == old.co_freevars:
                function.__code__ = new
        self.forget_answers()

    def forget_answers(self) -> None:
        """Clear the caches of functions: other code gave those answers, or another test had them
        noted.
        """
        for cached in self.caches:
            cached.cache_clear()

    def keep_caches(self, module: ModuleType) -> None:
        """Remember the cached functions of a module that was just loaded."""
        found = (one for one in vars(module).values() if isinstance(one, _lru_cache_wrapper))
        self.caches += [one for one in found if one.__module__ == module.__name__]


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, finder: Finder, file: str) -> None:
        super().__init__(fullname, path)
        self._finder, self._file = finder, file

    def get_code(self, fullname: str) -> CodeType:
        """Compile anew: a cached one has neither notes nor faults."""
        del fullname
        return self._finder.code(str(self.path), self._file)

    def exec_module(self, module: ModuleType) -> None:
        """Run it, with the name under which notes are taken."""
        vars(module)[HIT] = self._finder.lines.add
        super().exec_module(module)
        self._finder.keep_caches(module)


def install(finder: Finder) -> None:
    """Let it see every import that is still to come."""
    sys.meta_path.insert(0, finder)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _all_codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _all_codes(constant)
