"""Four real processes share a small account: at the service's handlers, and at a local stack."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from client.gateway import TOKEN, Gateway
from support.stand import Stand
from topup_client import Meter

from infra.local.paths import ROOT

SCRIPT = Path(__file__).with_name("process.py")
WORKERS = 4
SECONDS_MAX = 120


def _start(url: str, token: str, user_id: str, seconds_a_call: float) -> subprocess.Popen[str]:
    what = f"slowly {seconds_a_call}"
    command = [sys.executable, str(SCRIPT), url, token, user_id, "1", what]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "client" / "src")}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def _lines(process: subprocess.Popen[str]) -> Iterator[dict[str, float]]:
    said, _ = process.communicate(timeout=SECONDS_MAX)
    assert process.returncode == 0
    return (json.loads(line) for line in said.splitlines())


def _served_before_the_first_refusal(
    url: str, token: str, user_id: str, seconds_a_call: float
) -> int:
    """Let the processes spend at the same time. Their clocks are the machine's one clock."""
    with ExitStack() as started:
        processes = [
            started.enter_context(_start(url, token, user_id, seconds_a_call))
            for _ in range(WORKERS)
        ]
        for process in processes:
            assert process.stdout
            assert json.loads(process.stdout.readline()) == {"ready": True}
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [line for process in processes for line in _lines(process)]
    refused_at = min(line["refused_at"] for line in told if "refused_at" in line)
    served = [line["asked_at"] for line in told if "asked_at" in line]
    assert max(served) < refused_at, "a call was refused while another process held units"
    return len(served)


def test_four_processes_serve_each_unit_before_the_first_refusal(
    gateway: Gateway, url: str
) -> None:
    """All hundred units that the customer has, and none is left held."""
    gateway.fund("alice", 100)
    assert _served_before_the_first_refusal(url, TOKEN, "alice", 0.25) == 100
    balance = gateway.quota()
    assert (balance.used, balance.held, balance.remaining) == (100, 0, 0)


def test_so_they_do_at_a_local_stack(stand: Stand, customer: str) -> None:
    """At half a call a second each, with the last forty units of a purchase."""
    stand.purchase(customer)
    token = stand.token("backend", "quota.write")
    with Meter(stand.api_url, token) as meter:
        meter.debit(customer, 60)
    assert _served_before_the_first_refusal(stand.api_url, token, customer, 2) == 40
    quota = stand.quota(customer)
    assert (quota["used"], quota["held"], quota["remaining"]) == (100, 0, 0)
