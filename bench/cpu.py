"""Measures CPU per settled event and per debit, as a ratio to the least that any code must do."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from aws_lambda_powertools import utilities
from support import builders

from bench.rows import Row
from bench.subjects import ENVIRONMENT, SECRET, debit_event, paid_event
from infra.build.artifact import BUILD

CHILD: Final = Path(__file__).with_name("cpu_child.py")
ARTIFACT: Final = BUILD / "WebhookFunction"
ROUNDS: Final = 80
BLOCK: Final = 20
THRESHOLDS: Final = {
    "NOTIFY_URL": "https://events.example.com/",
    "LOW_AT_UNITS": "100",
    "AUTO_TOP_UP": "true",
}
"""A deployment whose debits demand that they cross none."""
READ: Final = {
    "settle": {"deployment": {"S": builders.DEPLOYMENT}},
    "debit": {"remaining": {"N": "1000"}},
}
"""What a read finds: a settlement's container reads the deployment's id once."""
SETTLE_GOAL: Final = 1.25
DEBIT_GOAL: Final = 1.3


def rows() -> Iterator[Row]:
    """Ratios to the floor: the median of blocks that ran side by side."""
    settle, calls = _ratios("settle")
    yield Row(
        "cpu",
        "settle an event, to verify + parse + the same bare transaction",
        settle["topup"],
        "x",
        SETTLE_GOAL,
    )
    yield Row(
        "cpu",
        "the same, to that floor without boto3's check of parameters",
        settle["topup"] / settle["lean floor"],
        "x",
    )
    yield Row("cpu", "peer: look, mark, update, update", settle["look-mark-update-update"], "x")
    yield Row(
        "cpu",
        "peer: powertools' idempotency around one transaction",
        settle["powertools idempotency"],
        "x",
    )
    yield Row(
        "cpu",
        "calls of the peer: look, mark, update, update",
        calls["look-mark-update-update"],
        "calls",
    )
    yield Row(
        "cpu",
        "calls of the peer: powertools' idempotency",
        calls["powertools idempotency"],
        "calls",
    )
    debit, _ = _ratios("debit")
    yield Row("cpu", "plain debit, to a bare conditional update", debit["topup"], "x", DEBIT_GOAL)
    yield Row(
        "cpu",
        "the same, to that floor without boto3's check of parameters",
        debit["topup"] / debit["lean floor"],
        "x",
    )
    watched, _ = _ratios("debit", **THRESHOLDS)
    yield Row(
        "cpu",
        "plain debit with a threshold set, to its bare conditional update",
        watched["topup"],
        "x",
    )


def _ratios(what: str, **environment: str) -> tuple[dict[str, float], dict[str, float]]:
    """Each candidate's CPU over the floor's, block by block, and its calls an event."""
    given = {
        "environment": {**ENVIRONMENT, **environment},
        "utilities": list(utilities.__path__),
        "secret": SECRET,
        "item_read": READ[what],
        "status_expected": 200,
        "rounds": ROUNDS,
        "block": BLOCK,
        "paid": paid_event(),
        "debit": debit_event(),
    }
    told = _child(given, what)
    floors = told["seconds"]["floor"]
    found = {
        name: statistics.median(mine / floor for mine, floor in zip(blocks, floors, strict=True))
        for name, blocks in told["seconds"].items()
    }
    return found, told["calls"]


def _child(given: dict[str, Any], what: str) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(given, file)
        file.flush()
        command = [sys.executable, "-I", "-S", "-B", str(CHILD), str(ARTIFACT), file.name, what]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
