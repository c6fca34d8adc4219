"""Which tests reach a fault, the quickest first, within a bound of time."""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from mutants.fault import Fault

TEST_SECONDS_MAX: Final = 6
QUICK_SECONDS: Final = 1
SLOW: Final = ("tests/functional/", "tests/ops/", "tests/properties/", "tests/chaos/")
"""What needs things set up that each fork must set up anew comes after what does not."""
CONSTANTS: Final = "tests/repo/test_template.py"
"""Holds sums of constants in many files, and runs no line of theirs."""


@dataclass(frozen=True, slots=True)
class Test:
    """A test as it ran on the unchanged product."""

    name: str
    place: int
    seconds: float

    @property
    def cost(self) -> tuple[int, float]:
        """What is tried first."""
        folder = next(
            (number for number, slow in enumerate(SLOW, 1) if self.name.startswith(slow)), 0
        )
        return folder, self.seconds


@dataclass(slots=True)
class Reach:
    """Gathers what the tests report."""

    uses: Mapping[str, Sequence[tuple[str, int]]]
    seconds_max: float
    """Of tests for one fault, as long as they took without it."""
    by_line: dict[tuple[str, int], list[Test]] = field(default_factory=lambda: defaultdict(list))
    of_constants: list[Test] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @classmethod
    def over(cls, sources: Mapping[str, str], seconds_max: float) -> "Reach":
        """Begin with no test."""
        return cls(_uses(sources), seconds_max)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one test's report. A test that fails without any fault says nothing."""
        if row["failed"]:
            self.failed.append(f"{row['test']}: {row['said']}")
            return
        test = Test(row["test"], row["place"], row["seconds"])
        if test.name.startswith(CONSTANTS):
            self.of_constants.append(test)
        for file, line in row["lines"]:
            self.by_line[file, line].append(test)

    def is_cold(self, fault: Fault) -> bool:
        """Return whether the fault acts only when its module is loaded.

        So it is outside of functions, and in a function that only the loading calls.
        """
        return not fault.is_hot or not self.by_line.get((fault.file, fault.statement))

    def tests(self, fault: Fault, *, twice: bool = True) -> list[Test]:
        """Return those that reach it, in the order in which they are tried.

        ``twice``: before a fault counts as one that no test notices, others have their turn for
        which the bound of time left no place.
        """
        tried = self._first(fault)
        return [*tried, *self.left_out(fault, tried)] if tried and twice else tried

    def _first(self, fault: Fault) -> list[Test]:
        if not self.is_cold(fault):
            return _chosen(set(self.by_line[fault.file, fault.statement]), self.seconds_max)
        users = {test for place in _users(fault, self.uses) for test in self.by_line.get(place, ())}
        others = {
            test
            for (file, _), tests in self.by_line.items()
            if file == fault.file
            for test in tests
        }
        users |= {test for test in self.of_constants if test.seconds <= QUICK_SECONDS}
        found = sorted(users | others, key=lambda test: (test not in users, test.cost))
        return list(_bounded(found, self.seconds_max))

    def left_out(self, fault: Fault, tried: Sequence[Test]) -> list[Test]:
        """Return others that reach the fault's statement, or its file where it acts at loading.

        First are those of its module's own test file, then the quickest of every file.
        """
        places = (
            [place for place in self.by_line if place[0] == fault.file]
            if self.is_cold(fault)
            else [(fault.file, fault.statement)]
        )
        left = {test for place in places for test in self.by_line[place]}.difference(tried)
        own = f"/test_{Path(fault.file).stem}.py::"
        found = sorted(_mixed(left), key=lambda test: own not in test.name)
        return list(_bounded(found, self.seconds_max))


def _chosen(tests: Iterable[Test], seconds_max: float) -> list[Test]:
    """Choose the quickest for half of the time, and for the other half some of every file.

    The many quick tests of some files would else use up the time of those that look at answers and
    log lines.
    """
    found = sorted(tests, key=lambda test: test.cost)
    quickest = list(_bounded(found, seconds_max / 2))
    taken = set(quickest)
    left = [test for test in found if test not in taken]
    return [*quickest, *_bounded(_mixed(left), seconds_max / 2)]


def _mixed(tests: Iterable[Test]) -> list[Test]:
    """Take one of every file, the quickest first, then a second of every file, and so on."""
    taken: Counter[str] = Counter()
    turns = {}
    for test in tests:
        file = test.name.partition("::")[0]
        turns[test] = taken[file]
        taken[file] += 1
    return sorted(turns, key=lambda test: (turns[test], test.cost))


def _bounded(tests: Iterable[Test], seconds_max: float) -> Iterable[Test]:
    seconds = 0.0
    for test in tests:
        if test.seconds <= TEST_SECONDS_MAX and (seconds := seconds + test.seconds) <= seconds_max:
            yield test


def _users(
    fault: Fault, uses: Mapping[str, Sequence[tuple[str, int]]]
) -> Iterator[tuple[str, int]]:
    """The statements, in any file, that name what a statement of a module defines, or a constant
    that is made of it.
    """
    names = [
        name
        for statement in ast.parse(fault.source).body
        if statement.lineno <= fault.span.line <= (statement.end_lineno or 0)
        for name in _defined(statement)
    ]
    made = _made_of(fault.source)
    for name in names:  # grows on the way
        names += [other for other in made.get(name, ()) if other not in names]
        yield from uses.get(name, ())


def _made_of(source: str) -> dict[str, set[str]]:
    """The constants of a module by what they are made of."""
    found: dict[str, set[str]] = defaultdict(set)
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                    found[node.id] |= _defined(statement)
    return found


def _defined(statement: ast.stmt) -> set[str]:
    """What a function or class and its methods are called, or the names that are given a value."""
    nodes = list(ast.walk(statement))
    made = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if isinstance(statement, made):
        return {node.name for node in nodes if isinstance(node, made)}
    return {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _uses(sources: Mapping[str, str]) -> dict[str, list[tuple[str, int]]]:
    """The statements that name something, by the name."""
    found = defaultdict(list)
    for file, source in sources.items():
        for statement in ast.walk(ast.parse(source)):
            if isinstance(statement, ast.stmt):
                for name in {_named(node) for node in ast.walk(statement)}:
                    found[name].append((file, statement.lineno))
    return found


def _named(node: ast.AST) -> str:
    return (
        node.id
        if isinstance(node, ast.Name)
        else node.attr
        if isinstance(node, ast.Attribute)
        else ""
    )
