"""A pytest plugin that runs inside the tests' process: it runs all tests once, then forks for each fault and runs those that reach it.

``--faults=FILE`` names a JSON file with what is to be done; the answers are lines of JSON beside it.
"""

import json
from pathlib import Path
from time import monotonic
from typing import Any, Final

import hypothesis
import pytest
from _pytest.runner import runtestprotocol
from mutants.forks import Forks
from mutants.swapping import Finder, install

EXAMPLES_MAX: Final = 60
"""Of a property, for each fault: always the same ones, so that a seed gives the same score again."""
DEAR: Final = frozenset({"stand", "database", "ministack", "dynoxide"})
"""Fixtures that start servers: no fork can afford them."""
LEFT_OUT: Final = (
    "tests/chaos/test_wire.py",
    "tests/unit/test_starting.py",
    "::test_recovery_and_a_late_purchase_settle_a_waiting_refund_once",
)
"""Tests with servers or processes of their own, and one that takes longer than any fault is given."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the name of the file."""
    parser.addoption("--faults", help="what to do, as JSON")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """See to the product's modules before anything imports them."""
    task = json.loads(Path(early_config.known_args_namespace.faults).read_text(encoding="utf-8"))
    finder = Finder(Path(task["root"]), task["files"], dict(task["texts"]), notes=not task["texts"])
    install(finder)
    early_config.stash[FINDER], early_config.stash[TASK] = finder, task


FINDER: Final = pytest.StashKey[Finder]()
TASK: Final = pytest.StashKey[dict[str, Any]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For a fault that needs a process of its own, keep its tests alone."""
    wanted = {name: place for place, name in enumerate(config.stash[TASK].get("tests", []))}
    if wanted:
        items[:] = sorted((item for item in items if item.nodeid in wanted), key=lambda item: wanted[item.nodeid])
    items[:] = [item for item in items if not _is_dear(item)]
    for item in items:
        _calm(item)


def _is_dear(item: pytest.Item) -> bool:
    return bool(DEAR.intersection(getattr(item, "fixturenames", ()))) or any(name in item.nodeid for name in LEFT_OUT)


def _calm(item: pytest.Item) -> None:
    """Let a property draw few examples, and the same ones each time."""
    module = getattr(item, "module", None)
    if isinstance(getattr(module, "RUNS", None), int):
        module.RUNS = EXAMPLES_MAX  # type: ignore[union-attr] # it has it
    test = getattr(item, "obj", None)
    marked = getattr(test, "_hypothesis_internal_use_settings", None)
    if test is not None and marked is not None:
        function = getattr(test, "__func__", test)
        few = min(marked.max_examples, EXAMPLES_MAX)
        function._hypothesis_internal_use_settings = hypothesis.settings(marked, max_examples=few, derandomize=True, database=None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests once, and then for each fault in a fork."""
    task, finder = session.config.stash[TASK], session.config.stash[FINDER]
    if task["texts"]:
        return None
    answers = Path(task["answers"])
    with answers.open("a", encoding="utf-8", buffering=1) as out:
        known = _run_once(session, finder, out)
        out.write(json.dumps({"ready": len(known)}) + "\n")
        faults = _waited_for(Path(task["jobs"]))
        finder.notes = False
        functions = finder.functions()
        for file, found in functions.items():
            finder.exchange(file, found)
        Forks(session, finder, functions, task["at_once"]).run(faults, out)
    return True


def _run_once(session: pytest.Session, finder: Finder, out: Any) -> list[str]:
    known = []
    for place, item in enumerate(session.items):
        following = session.items[place + 1] if place + 1 < len(session.items) else None
        finder.lines.take()
        started = monotonic()
        reports = runtestprotocol(item, nextitem=following, log=False)
        row = {
            "test": item.nodeid,
            "place": place,
            "seconds": monotonic() - started,
            "failed": any(report.failed for report in reports),
            "said": " ".join(str(report.longrepr)[-300:] for report in reports if report.failed),
            "lines": sorted(finder.lines.take()),
        }
        known.append(item.nodeid)
        out.write(json.dumps(row) + "\n")
    return known


def _waited_for(jobs: Path) -> list[dict[str, Any]]:
    """The faults, chosen by whoever started this process, once it knows what each test reaches."""
    import time  # noqa: PLC0415

    while not jobs.exists():
        time.sleep(0.05)
    found: list[dict[str, Any]] = json.loads(jobs.read_text(encoding="utf-8"))
    return found
