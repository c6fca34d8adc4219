"""Starts and stops the local stack in the background, and finds the one that runs."""

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from infra.local.paths import ROOT, LocalStackError, Paths

UP_SECONDS_MAX: Final = 240
DOWN_SECONDS_MAX: Final = 60


def up(paths: Paths, _: argparse.Namespace) -> int:
    """Start the local stack in the background, show its progress, and return when it answers."""
    if _running(paths):
        say(f"already up: {paths.front_url}")
        return 0
    paths.state.mkdir(parents=True, exist_ok=True)
    paths.check_ports()
    paths.stand_file.unlink(missing_ok=True)
    with paths.log_file.open("wb") as log:
        command = [sys.executable, "-u", "-m", "infra.local", "dev"]
        child = subprocess.Popen(  # noqa: S603 - our own program
            command,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    paths.pid_file.write_text(str(child.pid))
    return _follow(paths, child)


def down(paths: Paths, _: argparse.Namespace) -> int:
    """Stop the local stack in the background with SIGTERM, so that it saves its data."""
    pid = _running(paths)
    if not pid:
        say("not up")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS_MAX
    while _running(paths) and time.monotonic() < deadline:
        time.sleep(0.1)  # it is not our child, so we can only look for its process
    paths.pid_file.unlink(missing_ok=True)
    say("stopped; the data is kept")
    return 0


def _follow(paths: Paths, child: "subprocess.Popen[bytes]") -> int:
    """Show the log of ``child`` until the local stack is ready, and return 0.

    Raises LocalStackError if the process ends before that, or if it takes too long.
    """
    shown, deadline = 0, time.monotonic() + UP_SECONDS_MAX
    while time.monotonic() < deadline:
        text = paths.log_file.read_text()
        sys.stdout.write(text[shown:])
        sys.stdout.flush()
        shown = len(text)
        if paths.stand_file.exists():
            return 0
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.1)  # it is starting; meanwhile its log is shown
            message = f"the local stack did not start; see {paths.log_file}"
            raise LocalStackError(message)
    message = f"the local stack was not ready after {UP_SECONDS_MAX} s; see {paths.log_file}"
    raise LocalStackError(message)


def _running(paths: Paths) -> int:
    """Return the process id of the local stack that runs in the background, or 0."""
    try:
        pid = int(paths.pid_file.read_text())
        os.kill(pid, 0)
        # A zombie has no command line, and another program may have the same number.
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return pid if b"infra.local" in words else 0


def refuse_if_up(paths: Paths) -> None:
    """Raise LocalStackError if another process runs a local stack in the background.

    Only a stack with the same state folder counts.
    """
    pid = _running(paths)
    if pid and pid != os.getpid():
        where = f"{paths.front_url} (process {pid})"
        message = f"the local stack is already up at {where}; stop it with `make down`"
        raise LocalStackError(message)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
