"""One run: a copy of the product, the process that tries the faults in it, and its answers as they
come.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident
from typing import Any, Final

from mutants import known
from mutants.cold import ended
from mutants.equals import load
from mutants.fault import Fault
from mutants.modules import FILES
from mutants.process import start
from mutants.reach import CONSTANTS, Reach, Test
from mutants.report import Result

TESTS: Final = (
    "tests/unit",
    "tests/functional",
    "tests/client",
    "tests/properties",
    "tests/chaos",
    "tests/ops",
    CONSTANTS,
)
LIGHT: Final = ("tests/unit/", "tests/client/", CONSTANTS)
"""What loads neither moto nor thousands of examples."""
LOOKING_SECONDS: Final = 0.1
SECONDS_MIN: Final = 10
SLOWER: Final = 3
"""So many times as long as without the fault may the tests take, and SECONDS_MIN more."""


class BrokenRunError(Exception):
    """The tests' process ended before it had answered; this is its last output."""


@dataclass(frozen=True, slots=True)
class Run:
    """``root`` is the copy, ``folder`` a place for files beside it."""

    root: Path
    folder: Path
    at_once: int
    known: Mapping[str, Mapping[str, Any]]
    seconds_max: float

    def results(self, faults: Sequence[Fault], tell: Callable[[int], None]) -> Iterator[Result]:
        """Yield what became of each fault, in no order.

        ``tell`` is called with the number of tests that ran without one.
        """
        (self.folder / "answers").touch()
        names = {"answers": str(self.folder / "answers"), "jobs": str(self.folder / "jobs")}
        with (self.folder / "log").open("w", encoding="utf-8") as log:
            server = start(
                self.root,
                {"texts": {}, "at_once": self.at_once, "known": list(self.known), **names},
                TESTS,
                log,
            )
            try:
                yield from self._answered(faults, self._rows(server), tell)
            finally:
                server.terminate()
                server.wait()

    def _answered(
        self,
        faults: Sequence[Fault],
        rows: Iterator[Mapping[str, Any]],
        tell: Callable[[int], None],
    ) -> Iterator[Result]:
        reach = Reach.over(
            {file: (self.root / file).read_text(encoding="utf-8") for file in FILES},
            self.seconds_max,
        )
        ran = []
        for row in iter(lambda: next(rows), {"ready": True}):
            ran.append({**self.known.get(row["test"], {}), **row})
            reach.add(ran[-1])
            tell(len(ran))
        known.remember(self.root, ran)
        named = load()
        tests = {fault: reach.tests(fault, twice=fault.key not in named) for fault in faults}
        unreached = (
            f"no test reaches it; failed without a fault: {reach.failed}"
            if reach.failed
            else "no test reaches it"
        )
        yield from (Result(fault, "lived", said=unreached) for fault in faults if not tests[fault])
        jobs = [
            _job(number, fault, tests[fault])
            for number, fault in enumerate(faults)
            if tests[fault] and not reach.is_cold(fault)
        ]
        (self.folder / "new").write_text(json.dumps(jobs), encoding="utf-8")
        (self.folder / "new").rename(self.folder / "jobs")
        for _, row in zip(jobs, rows, strict=False):
            yield Result(
                faults[row["fault"]],
                row["verdict"],
                row.get("by", ""),
                row.get("said", ""),
                row["seconds"],
            )
        cold = [fault for fault in faults if tests[fault] and reach.is_cold(fault)]
        with ThreadPoolExecutor(self.at_once) as pool:
            yield from pool.map(lambda fault: self._tried_alone(fault, tests[fault]), cold)

    def _tried_alone(self, fault: Fault, tests: Sequence[Test]) -> Result:
        """What runs when a module is loaded cannot be exchanged later: an interpreter of its own
        reads the changed text. It loads the tests that need little first, alone.
        """
        light = [test for test in tests if test.name.startswith(LIGHT)]
        heavy = [test for test in tests if not test.name.startswith(LIGHT)]
        result = Result(fault, "lived")
        for part in filter(None, (light, heavy)):
            result = self._tried_with(fault, part)
            if result.verdict == "killed":
                break
        return result

    def _tried_with(self, fault: Fault, tests: Sequence[Test]) -> Result:
        with (self.folder / f"cold-{get_ident()}.log").open("w+", encoding="utf-8") as log:
            names = [test.name for test in tests]
            files = sorted({name.partition("::")[0] for name in names})
            return ended(
                fault,
                start(
                    self.root, {"texts": {fault.file: fault.changed}, "tests": names}, files, log
                ),
                log,
            )

    def _rows(self, server: "subprocess.Popen[str]") -> Iterator[Mapping[str, Any]]:
        with (self.folder / "answers").open(encoding="utf-8") as answers:
            line = ""
            while True:
                line += answers.readline()
                if line.endswith("\n"):
                    yield json.loads(line)
                    line = ""
                elif server.poll() is not None:
                    raise BrokenRunError((self.folder / "log").read_text(encoding="utf-8")[-3000:])
                else:
                    time.sleep(LOOKING_SECONDS)


def _job(number: int, fault: Fault, tests: Sequence[Test]) -> dict[str, Any]:
    seconds = SECONDS_MIN + SLOWER * sum(test.seconds for test in tests)
    places = [test.place for test in tests]
    function = f"{fault.file} {fault.function}"
    return {
        "number": number,
        "file": fault.file,
        "function": function,
        "text": fault.changed,
        "tests": places,
        "seconds_max": seconds,
    }
