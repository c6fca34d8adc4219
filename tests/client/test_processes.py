"""Real processes that spend one customer's units at a real stand."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.stand import Stand

from infra.local.paths import ROOT

SCRIPT = Path(__file__).with_name("process.py")
SECONDS_MAX = 120


def _start(stand: Stand, user_id: str, size: int, what: str) -> subprocess.Popen[str]:
    token = stand.token("backend", "quota.write")
    command = [sys.executable, str(SCRIPT), stand.api_url, token, user_id, str(size), what]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "client" / "src")}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def _served(process: subprocess.Popen[str]) -> int:
    said, _ = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 0
    return sum(json.loads(line).get("served", 0) for line in said.splitlines())


def _said(process: subprocess.Popen[str]) -> Any:
    assert process.stdout
    return json.loads(process.stdout.readline())


def _tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


def _units(stand: Stand, user_id: str) -> tuple[int, int, int]:
    quota = stand.quota(user_id)
    return quota["used"], quota["held"], quota["remaining"]


@pytest.fixture
def held_process(stand: Stand, customer: str) -> Iterator[subprocess.Popen[str]]:
    """A process with a lease of 60 units, of which it has served 10, and which waits."""
    stand.purchase(customer)
    process = _start(stand, customer, 60, "10")
    yield process
    process.kill()
    process.communicate()


def test_four_processes_never_oversell(stand: Stand, customer: str) -> None:
    """Three that block and one that awaits: every unit bought is served once and captured once, and
    none is left held.
    """
    stand.purchase(customer, "pro")
    processes = [
        _start(stand, customer, 40, what) for what in (*["together"] * 3, "together async")
    ]
    assert [_said(process) for process in processes] == [{"ready": True}] * 4
    for process in processes:
        _tell(process)
    served = [_served(process) for process in processes]
    assert min(served) > 0
    assert _units(stand, customer) == (sum(served), 0, 1000 - sum(served))
    last = _served(_start(stand, customer, 40, "all"))
    assert sum(served) + last == 1000
    assert _units(stand, customer) == (1000, 0, 0)


def test_a_killed_processs_units_come_back_when_its_hold_expires(
    stand: Stand, customer: str, held_process: subprocess.Popen[str]
) -> None:
    """All of them, also those it had served: these the seller bears."""
    assert _said(held_process) == {"served": 10, "left": 50}
    assert _units(stand, customer) == (0, 60, 40)
    held_process.send_signal(signal.SIGKILL)
    assert held_process.wait() == -signal.SIGKILL
    assert _units(stand, customer) == (0, 60, 40)
    stand.until(lambda: _units(stand, customer) == (0, 0, 100))
    assert _served(_start(stand, customer, 60, "all")) == 100
    assert _units(stand, customer) == (100, 0, 0)


def test_a_forked_child_spends_none_of_its_parents_units(stand: Stand, customer: str) -> None:
    """Both spend the same customer's units, each from holds of its own."""
    stand.purchase(customer)
    assert _served(_start(stand, customer, 30, "fork")) == 100
    assert _units(stand, customer) == (100, 0, 0)


def test_a_process_that_stood_still_too_long_spends_nothing_that_is_not_its_own(
    stand: Stand, customer: str, held_process: subprocess.Popen[str]
) -> None:
    """Stopped until its hold has expired, it captures nothing of what others may have bought
    meanwhile: the seller bears it.
    """
    assert _said(held_process) == {"served": 10, "left": 50}
    held_process.send_signal(signal.SIGSTOP)
    stand.until(lambda: _units(stand, customer) == (0, 0, 100))
    assert _served(_start(stand, customer, 60, "all")) == 100
    held_process.send_signal(signal.SIGCONT)
    assert _served(held_process) == 0
    assert _units(stand, customer) == (100, 0, 0)


def test_a_process_that_ends_without_closing_captures_at_its_exit(
    stand: Stand, customer: str
) -> None:
    stand.purchase(customer)
    code = (
        "import sys; from topup_client import *;"
        " lease = Lease(Meter(*sys.argv[1:3]), sys.argv[3], size=50); lease.debit(7)"
    )
    token = stand.token("backend", "quota.write")
    command: list[Any] = [sys.executable, "-c", code, stand.api_url, token, customer]
    subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT / "client" / "src")},
        check=True,
        timeout=SECONDS_MAX,
    )
    assert _units(stand, customer) == (7, 0, 93)
