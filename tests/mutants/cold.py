"""Waits for the tests of a fault that runs in a process of its own."""

import subprocess
from time import monotonic
from typing import IO, Final

from mutants.crowding import crowding
from mutants.fault import Fault
from mutants.report import Result, Verdict

SECONDS_MAX: Final = 90
"""On a machine that does nothing else."""
NO_END: Final = "no end, or the end of the process"


def ended(fault: Fault, ran: "subprocess.Popen[str]", log: IO[str]) -> Result:
    """Return what its tests found. A fault with which nothing can be imported
    is noticed as well.
    """
    started = monotonic()
    try:
        code = ran.wait(SECONDS_MAX * crowding())
    except subprocess.TimeoutExpired:
        ran.kill()
        ran.wait()
        return Result(fault, "killed", NO_END, "", monotonic() - started)
    log.seek(0)
    said = [line for line in log.read().splitlines() if line.startswith(("FAILED", "ERROR", "E  "))]
    verdict: Verdict = "lived" if code == 0 else "killed"
    return Result(
        fault, verdict, said[-1] if said else "", said[0] if said else "", monotonic() - started
    )
