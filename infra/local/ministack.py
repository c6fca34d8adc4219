"""The embedded AWS as a child process: on loopback, without our environment, its state saved when it is stopped kindly."""

import os
import shutil
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Final

from infra.local.paths import LocalStackError, Paths

START_SECONDS_MAX: Final = 60
STOP_SECONDS_MAX: Final = 30
IDLE_SECONDS: Final = 60
"""How long an idle function keeps its process, of 50 MB each: the stand is to be small when nobody
uses it.

TOPUP_IDLE_SECONDS changes it.
"""


def start(places: Paths, folder: str = "aws", port: int | None = None) -> "subprocess.Popen[bytes]":
    """Start it and wait until it answers.

    IAM is enforced: the functions' own roles are what they run with.
    """
    home = places.state / folder
    scratch = home / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)  # the unpacked functions of the last run
    scratch.mkdir(parents=True)
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "GATEWAY_PORT": str(port or places.aws),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "AUTH": "true",
        "PERSIST_STATE": os.environ.get("TOPUP_PERSIST", "1"),  # to save takes seconds
        "STATE_DIR": str(home / "state"),
        "LAMBDA_WARM_TTL_SECONDS": os.environ.get("TOPUP_IDLE_SECONDS", str(IDLE_SECONDS)),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(home / "s3"),
    }
    log = (home / "ministack.log").open("ab")
    program = str(places.tools / "ministack" / "bin" / "ministack")
    child = subprocess.Popen(
        [program], env=environment, cwd=home, stdout=log, stderr=log, start_new_session=True
    )
    _wait(child, f"http://127.0.0.1:{port or places.aws}/_ministack/health", home / "ministack.log")
    return child


def stop(child: "subprocess.Popen[bytes]") -> None:
    """SIGTERM, so that it saves its state; then wait."""
    child.terminate()
    try:
        child.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _wait(child: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own loopback address
            return
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.1)  # it is starting, or has ended
            break
    message = f"the embedded AWS did not start; see {log}"
    raise LocalStackError(message)
