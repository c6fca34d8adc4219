"""What Lambda may keep in a snapshot and start many containers from: code, and nothing that each of
them must have for itself.
"""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from functional.template import Template

from infra.local.paths import ROOT

FUNCTIONS = ROOT / "functions"
PROBE = Path(__file__).with_name("probe.py")


def _found(folder: Path, *modules: str) -> list[str]:
    """What the probe finds. No setting is there to be read."""
    command = [sys.executable, "-B", str(PROBE), str(folder), *modules]
    done = subprocess.run(
        command,
        cwd=folder,
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def test_importing_every_handler_makes_nothing_that_a_snapshot_must_not_hold() -> None:
    """No client, connection, credential, secret or setting, no reading of a clock, no chance, no
    remembered answer.
    """
    handlers = Template("any", "any").handlers()
    assert len(handlers) >= 14
    assert _found(FUNCTIONS, *sorted(handlers)) == []


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("import time; STARTED = time.time()", "time is called by planted.py"),
        ("import time; DEADLINE = time.monotonic() + 8", "monotonic is called by planted.py"),
        (
            "from datetime import UTC, datetime; STARTED = datetime.now(UTC)",
            "datetime.now is called by planted.py",
        ),
        ("import random; NUMBER = random.uniform(0, 1)", "Random.random is called by planted.py"),
        ("import uuid; CONTAINER = uuid.uuid4()", "urandom is called by planted.py"),
        ("import boto3; DOOR = boto3.client('sqs')", "there is a botocore.client.BaseClient"),
        ("import ssl; TLS = ssl.create_default_context()", "there is a ssl.SSLContext"),
        (
            "from billing.deadline import Deadline; PATIENCE = Deadline()",
            "there is a billing.deadline.Deadline",
        ),
        (
            "from billing.payments.plans import whole_catalogue; PLANS = whole_catalogue()",
            "whole_catalogue remembers an answer",
        ),
        (
            "from billing.wiring import secrets; SECRETS = secrets._provider()",
            "there is a botocore.client.BaseClient",
        ),
    ],
)
def test_the_probe_sees_what_is_planted(tmp_path: Path, line: str, finding: str) -> None:
    (tmp_path / "billing").symlink_to(FUNCTIONS / "billing")
    (tmp_path / "planted.py").write_text(line + "\n")
    assert finding in _found(tmp_path, "planted")


def test_chance_is_the_operating_systems_everywhere() -> None:
    """``random`` itself goes on from the snapshot's state: the same numbers in every container."""
    used = {
        (path.name, name.name)
        for path in FUNCTIONS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
        if "random" in (name.name, getattr(node, "module", None))
    }
    assert used == {("deadline.py", "SystemRandom")}
