"""Which tests reach a fault, the quickest first, within a bound of time."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mutants.fault import Fault

TEST_SECONDS_MAX: Final = 6
SLOW: Final = ("tests/functional/", "tests/ops/", "tests/properties/", "tests/chaos/")
"""What needs things set up that each fork must set up anew comes after what does not."""


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
        for file, line in row["lines"]:
            self.by_line[file, line].append(test)

    def tests(self, fault: Fault) -> list[Test]:
        """Return those that reach it."""
        places = [(fault.file, fault.statement)] if fault.is_hot else _users(fault, self.uses)
        found = {test for place in places for test in self.by_line.get(place, ())}
        if not fault.is_hot:
            found |= {
                test
                for (file, _), tests in self.by_line.items()
                if file == fault.file
                for test in tests
            }
        return list(_bounded(sorted(found, key=lambda test: test.cost), self.seconds_max))


def _bounded(tests: Iterable[Test], seconds_max: float) -> Iterable[Test]:
    seconds = 0.0
    for test in tests:
        if test.seconds <= TEST_SECONDS_MAX and (seconds := seconds + test.seconds) <= seconds_max:
            yield test


def _users(
    fault: Fault, uses: Mapping[str, Sequence[tuple[str, int]]]
) -> Iterator[tuple[str, int]]:
    """The statements, in any file, that name what a line of a module gives a value to."""
    for statement in ast.parse(fault.source).body:
        if statement.lineno <= fault.span.line <= (statement.end_lineno or 0):
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield from uses.get(node.id, ())


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
