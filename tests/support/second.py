"""A second embedded AWS beside MiniStack: moto's server in a process of its own.

What moto lacks of the template is in tests/support/second_aws.

Where the two disagree, AWS's manual is asked; docs/decisions/evidence.md has the answers.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import httpx
from support.programs import lacking

from infra.local.paths import REGION, ROOT, free_port

PYTHON: Final = ROOT / ".local" / "venvs" / "moto" / "bin" / "python"
SERVER: Final = ROOT / "tests" / "support" / "second_aws" / "server.py"
ACCOUNT: Final = "123456789012"
"""moto's."""
KEYS: Final = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
START_SECONDS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Second:
    """An empty account."""

    url: str

    def client(self, service: str, region: str = REGION) -> Any:
        """Of any service."""
        keys = {name.lower(): value for name, value in KEYS.items()}
        return boto3.client(service, region_name=region, endpoint_url=self.url, **keys)

    def environment(self) -> dict[str, str]:
        """For a shell that is signed in to it."""
        return {
            **KEYS,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
        }

    def physical(self, stack: str) -> dict[str, str]:
        """What each logical id has become."""
        pages = (
            self.client("cloudformation")
            .get_paginator("list_stack_resources")
            .paginate(StackName=stack)
        )
        rows = [row for page in pages for row in page["StackResourceSummaries"]]
        return {
            row["LogicalResourceId"]: row["PhysicalResourceId"]
            for row in rows
            if row.get("LogicalResourceId")
        }


@contextmanager
def second_aws(log: Path) -> Iterator[Second]:
    """Until the end of the block. ``log`` has what it says. Skips where it is not installed."""
    if not PYTHON.exists():
        lacking("moto's server is not installed: run `make setup`")
    port = free_port()
    # None of the shell's own credentials: they must not be in anybody's log.
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(log.parent),
        "AWS_DEFAULT_REGION": REGION,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(ROOT / "tests"),
    }
    with log.open("wb") as file:
        child = subprocess.Popen(
            [PYTHON, SERVER, str(port)], stdout=file, stderr=file, env=environment
        )
    try:
        found = Second(
            f"http://localhost:{port}"
        )  # moto takes the first word of another host for a bucket
        _wait(child, found.url, log)
        yield found
    finally:
        child.terminate()
        child.wait()


def _wait(child: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while child.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/moto-api/").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)  # it is starting: there is nothing to wait on but time
        else:
            return
    raise AssertionError(f"moto did not start: {log.read_text()[-1000:]}")
