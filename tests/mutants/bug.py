"""A planted bug: one change to a copy of the product, and the tests that must notice it."""

import ast
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from .pattern import replace_once

BILLING = "functions/billing/"


class StaleBugError(Exception):
    """The code that a bug changes, or a test that must notice it, is not there: the bug must follow
    the product.
    """


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement in one file, named as seen from functions/billing.

    ``old`` and ``new`` are Python code, compared by syntax: layout and comments do not matter.
    """

    file: str
    old: str
    new: str

    def changed(self, root: Path) -> tuple[str, str]:
        """Return the file's code before and after, as ast.unparse prints it.
        Raises StaleBugError.
        """
        tree = ast.parse((root / BILLING / self.file).read_text(encoding="utf-8"))
        before = ast.unparse(tree)
        found = replace_once(tree, self.old, self.new)
        if found != 1:
            message = f"{self.file} has this code {found} times, not once: {self.old!r}"
            raise StaleBugError(message)
        return before, ast.unparse(ast.fix_missing_locations(tree))


@dataclass(frozen=True, slots=True)
class Bug:
    """``name`` says in one sentence what the product would do wrong.

    ``killers`` are the pytest node ids that must notice it, the quickest first.
    A bug has several edits only where the product guards the same thing several times.
    """

    name: str
    killers: tuple[str, ...]
    edits: tuple[Edit, ...]

    def check(self, root: Path) -> None:
        """Raise StaleBugError if the bug no longer fits the product and its tests."""
        for killer in self.killers:
            path, _, test = killer.partition("::")
            defined = f"def {test.partition('[')[0]}("
            if not (root / path).exists() or defined not in (root / path).read_text("utf-8"):
                message = f"there is no test {killer}"
                raise StaleBugError(message)
        for edit in self.edits:
            before, after = edit.changed(root)
            if before == after:
                message = f"{edit.file}: the edit changes nothing: {edit.old!r}"
                raise StaleBugError(message)
            compile(after, edit.file, "exec")

    def plant(self, root: Path) -> str:
        """Change the copy of the product below ``root``. Return the diff. Raises StaleBugError."""
        diff: list[str] = []
        for edit in self.edits:
            before, after = edit.changed(root)
            path = BILLING + edit.file
            (root / path).write_text(after, encoding="utf-8")
            lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
            diff += unified_diff(*lines, f"a/{path}", f"b/{path}", n=1)
        return "".join(diff)


def bug(name: str, killer: str, *edits: tuple[str, str, str]) -> Bug:
    """Define one.

    ``killer`` is a test file's name below tests/unit, ``::`` and the test.
    Several are separated by spaces.
    """
    killers = tuple(f"tests/unit/{one}" for one in killer.split())
    return Bug(name, killers, tuple(Edit(*edit) for edit in edits))
