"""What a planted bug is: one change to a copy of the product, and the tests that must notice it."""

from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

BILLING = "functions/billing/"


class StaleBugError(Exception):
    """The text that a bug replaces is not in its file exactly once: the product has changed, the bug must follow."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement in one file, as named from functions/billing (``../webhook.py``, ``../../client/...``). ``old`` is there once."""

    file: str
    old: str
    new: str

    def changed(self, root: Path) -> tuple[str, str]:
        """The file's text before and after. Raises StaleBugError."""
        before = (root / BILLING / self.file).read_text(encoding="utf-8")
        if (found := before.count(self.old)) != 1:
            message = f"{self.file}: expected once, found {found} times: {self.old!r}. Make the bug in tests/mutants fit the product."
            raise StaleBugError(message)
        return before, before.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Bug:
    """``name`` says in one sentence what the product would do wrong.

    ``killers``: pytest node ids, the quickest first.

    One edit each, except where the product guards the same thing twice: then all guards go, for
    each alone is enough.
    """

    name: str
    killers: tuple[str, ...]
    edits: tuple[Edit, ...]

    def plant(self, root: Path) -> str:
        """Change the copy of the product below ``root``. Returns the diff. Raises StaleBugError."""
        diff: list[str] = []
        for edit in self.edits:
            before, after = edit.changed(root)
            path = BILLING + edit.file
            (root / path).write_text(after, encoding="utf-8")
            diff += unified_diff(
                before.splitlines(keepends=True),
                after.splitlines(keepends=True),
                f"a/{path}",
                f"b/{path}",
                n=1,
            )
        return "".join(diff)


def bug(name: str, killer: str, *edits: tuple[str, str, str]) -> Bug:
    """Write one down.

    ``killer``: a test file's name below tests/unit, ``::`` and the test; several with spaces
    between.
    """
    return Bug(
        name,
        tuple(f"tests/unit/{one}" for one in killer.split()),
        tuple(Edit(*edit) for edit in edits),
    )
