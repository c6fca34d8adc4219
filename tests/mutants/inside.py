"""A pytest plugin that runs inside the tests' process: it runs all tests once, then forks for each
fault and runs those that reach it.

``--faults=FILE`` names a JSON file with what is to be done; the answers are lines of JSON beside
it.
"""

import json
import os
from pathlib import Path
from time import sleep
from typing import IO, Any, Final

import hypothesis
import pytest
from _pytest.runner import runtestprotocol
from mutants.forks import Forks
from mutants.swapping import Finder, install

EXAMPLES_MAX: Final = 60
"""Of a property, for each fault: always the same ones, so that a seed gives the same score again.
"""
LOOKING_SECONDS: Final = 0.05
WARMING: Final = 40
"""Of the tests that are known already, one in so many runs all the same."""
DEAR: Final = frozenset({"stand", "database", "ministack", "dynoxide"})
"""Fixtures that start servers: no fork can afford them."""
LEFT_OUT: Final = (
    "tests/chaos/test_wire.py",
    "tests/chaos/test_charge_schedules.py",
    "tests/properties/test_soak.py",
    "tests/unit/wiring/test_container.py",
    "::test_recovery_and_a_late_purchase_settle_a_waiting_refund_once",
)
"""Tests with servers or processes of their own, and those that take longer than any fault is given.
"""


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
        items[:] = sorted(
            (item for item in items if item.nodeid in wanted), key=lambda item: wanted[item.nodeid]
        )
    items[:] = [item for item in items if not _is_dear(item)]
    for item in items:
        _calm(item)


def _is_dear(item: pytest.Item) -> bool:
    return bool(DEAR.intersection(getattr(item, "fixturenames", ()))) or any(
        name in item.nodeid for name in LEFT_OUT
    )


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
        function._hypothesis_internal_use_settings = hypothesis.settings(
            marked, max_examples=few, derandomize=True, database=None
        )


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests once, and then for each fault in a fork."""
    task, finder = session.config.stash[TASK], session.config.stash[FINDER]
    if task["texts"]:
        return None
    answers = Path(task["answers"])
    with answers.open("a", encoding="utf-8", buffering=1) as out:
        _run_once(session, finder, out, frozenset(task["known"]))
        out.write(json.dumps({"ready": True}) + "\n")
        faults = _waited_for(Path(task["jobs"]))
        finder.notes = False
        functions = finder.functions()
        for file, found in functions.items():
            finder.exchange(file, found)
        Forks(session, finder, functions, task["at_once"]).run(faults, out)
    return True


def _run_once(session: pytest.Session, finder: Finder, out: IO[str], known: frozenset[str]) -> None:
    """Run what is not known yet, and of the rest enough to have everything loaded that a test
    loads.
    """
    places = [
        place
        for place, item in enumerate(session.items)
        if item.nodeid not in known or place % WARMING == 0
    ]
    for place in range(len(session.items)):
        if place not in places:
            out.write(json.dumps({"test": session.items[place].nodeid, "place": place}) + "\n")
    for place, following in zip(places, [*places[1:], None], strict=True):
        after = None if following is None else session.items[following]
        out.write(json.dumps({"place": place, **_ran(session.items[place], after, finder)}) + "\n")


def _ran(item: pytest.Item, following: pytest.Item | None, finder: Finder) -> dict[str, Any]:
    finder.forget_answers()
    finder.lines.take()
    started = _cpu_seconds()
    failed = [
        report for report in runtestprotocol(item, nextitem=following, log=False) if report.failed
    ]
    return {
        "test": item.nodeid,
        "seconds": _cpu_seconds() - started,
        "failed": bool(failed),
        "said": " ".join(str(report.longrepr)[-300:] for report in failed),
        "lines": sorted(finder.lines.take()),
    }


def _cpu_seconds() -> float:
    """Return what this process and its ended children have used.

    A busy machine makes tests longer, and must not choose other ones.
    """
    return sum(os.times()[:4])


def _waited_for(jobs: Path) -> list[dict[str, Any]]:
    """The faults, chosen by the process that started this one, once it knows what each test
    reaches.
    """
    while not jobs.exists():
        sleep(LOOKING_SECONDS)
    found: list[dict[str, Any]] = json.loads(jobs.read_text(encoding="utf-8"))
    return found
