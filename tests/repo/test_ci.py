"""Continuous integration: what is missing is installed, what cannot be installed stops it, and
nothing is skipped.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from support.programs import lacking

from infra.local.paths import ROOT

RUN: Final = ROOT / ".ci" / "run"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs that has nothing but a shell's own, and a ``make`` that notes what it is
    asked for.
    """
    for name in ("sh", "dirname", "grep"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    _program(tmp_path, "make", f'echo "make $* CI=$CI" >> {tmp_path}/log')
    return tmp_path


def _program(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("\n".join(["#!/bin/sh", *lines, ""]))
    (folder / name).chmod(0o755)


def _run(machine: Path) -> tuple[int, list[str]]:
    done = subprocess.run([RUN], env={"PATH": str(machine)}, capture_output=True, check=False)
    log = machine / "log"
    return done.returncode, log.read_text().splitlines() if log.exists() else []


def test_a_bare_machine_gets_its_tools_and_then_the_two_commands_run(machine: Path) -> None:
    """The README's own, and no other; both know that nothing may be skipped."""
    _program(machine, "apt-get", f'echo "apt-get $*" >> {machine}/log')
    install = (
        "apt-get install -y -qq --no-install-recommends"
        " chromium-headless-shell fonts-wqy-microhei npm"
    )
    assert _run(machine) == (
        0,
        ["apt-get update -qq", install, "make check CI=true", "make test CI=true"],
    )


def test_a_machine_that_has_everything_installs_nothing(machine: Path) -> None:
    """Where a browser of another name counts."""
    for name in ("google-chrome", "npm"):
        _program(machine, name)
    _program(machine, "fc-list", "echo /usr/share/fonts/one.ttc")
    assert _run(machine) == (0, ["make check CI=true", "make test CI=true"])


@pytest.mark.parametrize("failing", ["update", "install", ""])
def test_what_cannot_be_installed_stops_it(machine: Path, failing: str) -> None:
    """Rather than tests that are not run.

    On a machine without apt-get it is for its owner to install.
    """
    if failing:
        _program(machine, "apt-get", f'test "$1" != {failing}')
    status, log = _run(machine)
    assert status != 0
    assert log == []


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_missing_tool_is_a_skip_here_and_a_failure_there(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setitem(os.environ, "CI", ci)
    with pytest.raises(outcome, match="no browser"):
        lacking("no browser")
