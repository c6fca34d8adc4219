"""Tries faults in forks of the process that has everything loaded: several at once, each within
bounds of time and memory.
"""

import json
import os
import resource
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from types import FunctionType
from typing import IO, Any, Final

import pytest
from _pytest.runner import runtestprotocol
from mutants.cold import NO_END
from mutants.crowding import crowding
from mutants.swapping import Finder

LOOKING_SECONDS: Final = 0.01
MEMORY_MAX: Final = 6 * 2**30
SAID_CHARS_MAX: Final = 300


@dataclass(slots=True)
class Child:
    """One fault that is being tried."""

    fault: dict[str, Any]
    pid: int
    pipe: int
    started: float


class Forks:
    """Runs one child for each fault."""

    def __init__(
        self,
        session: pytest.Session,
        finder: Finder,
        functions: Mapping[str, Sequence[FunctionType]],
        at_once: int,
    ) -> None:
        """``functions`` are the live ones, by file."""
        self._session, self._finder, self._functions, self._at_once = (
            session,
            finder,
            functions,
            at_once,
        )
        self._children: list[Child] = []
        self._noticed: dict[str, list[int]] = {}
        """The tests that noticed earlier faults of the same function: they are tried first."""

    def run(self, faults: list[dict[str, Any]], out: IO[str]) -> None:
        """Try all of them, and write an answer for each as soon as it is known."""
        left = list(reversed(faults))
        while left or self._children:
            while left and len(self._children) < self._at_once:
                self._children.append(self._start(left.pop()))
            time.sleep(LOOKING_SECONDS)
            for child in list(self._children):
                if (answer := _ended(child)) is not None:
                    self._children.remove(child)
                    self._learn(child.fault, answer)
                    out.write(
                        json.dumps(
                            {
                                "fault": child.fault["number"],
                                "seconds": monotonic() - child.started,
                                **answer,
                            }
                        )
                        + "\n"
                    )

    def _learn(self, fault: dict[str, Any], answer: dict[str, Any]) -> None:
        places = [
            place
            for place in fault["tests"]
            if self._session.items[place].nodeid == answer.get("by")
        ]
        known = self._noticed.setdefault(fault["function"], [])
        known[:] = [*places, *(place for place in known if place not in places)]

    def _start(self, fault: dict[str, Any]) -> Child:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            try:
                os.write(writing, json.dumps(self._tried(fault)).encode())
            except SyntaxError as error:
                os.write(
                    writing,
                    json.dumps(
                        {"verdict": "lived", "said": f"it does not compile: {error}"}
                    ).encode(),
                )
            finally:
                os._exit(0)
        os.close(writing)
        return Child(fault, pid, reading, monotonic())

    def _tried(self, fault: dict[str, Any]) -> dict[str, Any]:
        """Run in the child: which test noticed, or none."""
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
        seconds = int(fault["seconds_max"])
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        self._finder.texts[fault["file"]] = fault["text"]
        self._finder.exchange(fault["file"], self._functions[fault["file"]])
        first = [
            place for place in self._noticed.get(fault["function"], []) if place in fault["tests"]
        ]
        items = [self._session.items[place] for place in dict.fromkeys([*first, *fault["tests"]])]
        for item, following in zip(items, [*items[1:], None], strict=True):
            for report in runtestprotocol(item, nextitem=following, log=False):
                if report.failed:
                    return {"verdict": "killed", "by": item.nodeid, "said": _said(report)}
        return {"verdict": "lived"}


def _said(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr)[:SAID_CHARS_MAX]


def _ended(child: Child) -> dict[str, Any] | None:
    """What a child found, None while it is at it. One that runs on and on was noticed as well."""
    pid, _ = os.waitpid(child.pid, os.WNOHANG)
    is_late = monotonic() - child.started > child.fault["seconds_max"] * 4 * crowding()
    if not pid and not is_late:
        return None
    if not pid:
        os.killpg(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
    said = os.read(child.pipe, 65536)
    os.close(child.pipe)
    found: dict[str, Any] = (
        json.loads(said) if said else {"verdict": "killed", "by": NO_END, "said": ""}
    )
    return found
