"""Starts and stops the embedded AWS (MiniStack), a child process that listens on loopback."""

import os
import shutil
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Final

from infra.local.function_clock import sitecustomize
from infra.local.paths import LocalStackError, Paths

START_SECONDS_MAX: Final = 60
STOP_SECONDS_MAX: Final = 30
IDLE_SECONDS: Final = 60
"""How long an idle function keeps its process, which takes 50 MB.

TOPUP_IDLE_SECONDS changes it."""


def start(paths: Paths, folder: str = "aws", port: int | None = None) -> "subprocess.Popen[bytes]":
    """Start the embedded AWS, wait until it answers, and return its process.

    Its data is in the subfolder ``folder`` of the stack's state folder. ``port`` None takes the
    stack's own port. IAM is enforced: each function runs with its own role. Raises LocalStackError
    if it does not start.
    """
    home = paths.state / folder
    scratch = home / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)  # functions that the last run unpacked
    scratch.mkdir(parents=True)
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "GATEWAY_PORT": str(port or paths.aws),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "AUTH": "true",
        "PERSIST_STATE": os.environ.get("TOPUP_PERSIST", "1"),  # saving takes seconds
        "STATE_DIR": str(home / "state"),
        "LAMBDA_WARM_TTL_SECONDS": os.environ.get("TOPUP_IDLE_SECONDS", str(IDLE_SECONDS)),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(home / "s3"),
        # Its functions inherit both, and with them the clock that tests move.
        "PYTHONPATH": str(Path(sitecustomize.__file__).parent),
        sitecustomize.VARIABLE: str(paths.clock_file),
    }
    log = (home / "ministack.log").open("ab")
    program = str(paths.tools / "ministack" / "bin" / "ministack")
    child = subprocess.Popen(  # noqa: S603 - the embedded AWS
        [program], env=environment, cwd=home, stdout=log, stderr=log, start_new_session=True
    )
    _wait(child, f"http://127.0.0.1:{port or paths.aws}/_ministack/health", home / "ministack.log")
    return child


def stop(child: "subprocess.Popen[bytes]") -> None:
    """Send SIGTERM to the embedded AWS and wait, so that it saves its state."""
    child.terminate()
    try:
        child.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _wait(child: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=1):  # noqa: S310 - on loopback
            return
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.1)  # it is starting, or it has ended
            break
    message = f"the embedded AWS did not start; see {log}"
    raise LocalStackError(message)
