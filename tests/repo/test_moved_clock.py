"""The functions' clock moves on the local stack only, by code that is not in the artifact."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from infra.local.function_clock import sitecustomize
from infra.local.paths import ROOT
from infra.stripe_simulator.simulator import Simulator

FOLDER: Final = Path(sitecustomize.__file__).parent
DAY: Final = 86400
TELL: Final = """
import sys
sys.path.insert(0, {functions!r})
from billing.wiring import container
from billing.clock import epoch, utc_now
import time
for _ in sys.stdin:
    print(epoch(utc_now()), int(time.time()), flush=True)
"""


class _Function:
    """A process that answers with the functions' clock and with the real one, as in a container."""

    def __init__(self, **environment: str) -> None:
        command = [sys.executable, "-c", TELL.format(functions=str(ROOT / "functions"))]
        plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._child = subprocess.Popen(
            command,
            env={**plain, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def offset_seconds(self) -> int:
        """How far its clock is ahead of real time."""
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write("tell\n")
        self._child.stdin.flush()
        moved, real = map(int, self._child.stdout.readline().split())
        return round((moved - real) / 10) * 10

    def end(self) -> None:
        """End it."""
        self._child.communicate()


def test_a_running_function_sees_the_moved_clock_at_its_next_request(tmp_path: Path) -> None:
    """Twice, without a restart; and a stack that is started again keeps it."""
    clock_file = tmp_path / "clock"
    simulator = Simulator("http://127.0.0.1:9", "sk_test", tmp_path / "db", clock_file=clock_file)
    local = {"PYTHONPATH": str(FOLDER), sitecustomize.VARIABLE: str(clock_file)}
    function = _Function(**local)
    assert function.offset_seconds() == 0
    for days in (1, 40):
        simulator.store.advance(DAY * days)
        assert function.offset_seconds() == simulator.store.offset_seconds
    function.end()
    simulator.store.close()
    clock_file.unlink()
    again = Simulator("http://127.0.0.1:9", "sk_test", tmp_path / "db", clock_file=clock_file)
    assert again.store.offset_seconds == 41 * DAY
    later = _Function(**local)
    assert later.offset_seconds() == 41 * DAY
    later.end()
    again.store.close()


def test_a_function_without_the_local_stacks_folder_stays_on_real_time(tmp_path: Path) -> None:
    """As deployed: whatever file and variables there are, the artifact has nothing that reads."""
    file = tmp_path / "clock"
    file.write_text(str(DAY))
    function = _Function(**{sitecustomize.VARIABLE: str(file), "STAGE": "local"})
    assert function.offset_seconds() == 0
    function.end()


def test_nothing_that_is_deployed_knows_of_a_clock_that_moves() -> None:
    """No file of the artifact, and no variable of the template, names the offset or a path."""
    deployed = [ROOT / "template.yaml", *(ROOT / "functions").rglob("*")]
    texts = {path: path.read_bytes() for path in deployed if path.is_file()}
    for word in (sitecustomize.VARIABLE, "sitecustomize", "PYTHONPATH", "function_clock"):
        found = [str(path) for path, text in texts.items() if word.encode() in text]
        assert found == [], word


def test_only_the_billing_clock_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The offset is read at each call, and a program without the product's clock is untouched."""
    file = tmp_path / "clock"
    monkeypatch.setenv(sitecustomize.VARIABLE, str(file))
    told = "from datetime import datetime, UTC; print(int(datetime.now(UTC).timestamp()))"
    environment = {**os.environ, "PYTHONPATH": str(FOLDER)}
    file.write_text(str(DAY))
    done = subprocess.run(
        [sys.executable, "-c", told], env=environment, capture_output=True, text=True, check=True
    )
    assert abs(int(done.stdout) - int(datetime.now(UTC).timestamp())) < 3600
