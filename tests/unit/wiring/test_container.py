import json
import subprocess
import sys

import pytest
from functional.lab import CREDENTIALS, REGION
from functional.template import Template
from support.builders import STACK

from infra.local.paths import ROOT

PROGRAM = """
import gc, json, sys
import {module}
from botocore.client import BaseClient
clients = (found for found in gc.get_objects() if isinstance(found, BaseClient))
print(json.dumps(sorted(found.meta.service_model.service_name for found in clients)))
"""


def _clients(module: str, way: str) -> list[str]:
    """What a handler's import has made."""
    environment = {
        **Template(STACK, REGION).environment(),
        **CREDENTIALS,
        "AWS_LAMBDA_INITIALIZATION_TYPE": way,
    }
    command = [sys.executable, "-c", PROGRAM.format(module=module)]
    done = subprocess.run(
        command,
        cwd=ROOT / "functions",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("module", "made"),
    [
        ("read_quota", ["dynamodb"]),
        ("authorize", ["dynamodb"]),
        ("webhook", ["dynamodb", "secretsmanager"]),
        ("public.list_plans", []),
    ],
)
@pytest.mark.parametrize("way", ["on-demand", "provisioned-concurrency"])
def test_clients_are_made_while_lambda_starts_a_container(
    module: str, made: list[str], way: str
) -> None:
    """With the whole processor that Lambda gives then, and not within the first request."""
    assert _clients(module, way) == made


@pytest.mark.parametrize("module", ["read_quota", "authorize", "webhook"])
@pytest.mark.parametrize("way", ["snap-start", ""])
def test_no_client_is_made_for_a_snapshot(module: str, way: str) -> None:
    """It would hold credentials, and many containers would start from it."""
    assert _clients(module, way) == []
