"""The Makefile works with the make that macOS ships (3.81, of 2006), and with any shell that POSIX knows."""

import re
import shutil
import subprocess
from typing import Final

from infra.local.places import ROOT

TEXT: Final = (ROOT / "Makefile").read_text()
NEWER: Final = re.compile(
    r"\$\((file|guile|intcmp|let)\b|\.ONESHELL|\.SHELLSTATUS|--(output-sync|shuffle|jobserver-style)|^[\w.]+ *(::=|:::=|!=)", re.MULTILINE
)
"""What came after 3.81: https://git.savannah.gnu.org/cgit/make.git/tree/NEWS."""
BASHISMS: Final = re.compile(r"\[\[|<\(|&>|\bsource |\$\$\{\w+[/^,]|\$\$'")


def _printed(*arguments: str) -> str:
    """What make would run, without running it. This test's own make must not be a child of one that runs it."""
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin"}
    command = [str(shutil.which("make")), "--dry-run", "--always-make", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_check_asks_make_for_nothing_that_it_does_not_have() -> None:
    """An old make does not list output-sync among its features, and knows no such option."""
    assert "--output-sync" not in _printed("check", ".FEATURES=")
    assert "check-types check-template check-text" in _printed("check", ".FEATURES=")


def test_the_makefile_uses_nothing_newer() -> None:
    """But behind the question for the feature."""
    asked = "$(if $(filter output-sync,$(.FEATURES)),--output-sync=target)"
    assert asked in TEXT
    assert NEWER.findall(TEXT.replace(asked, "")) == []


def test_the_recipes_are_for_any_shell() -> None:
    """Alpine has no bash."""
    assert re.search(r"^SHELL := /bin/sh$", TEXT, re.MULTILINE)
    assert BASHISMS.findall(TEXT) == []
