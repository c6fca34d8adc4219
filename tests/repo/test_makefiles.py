"""The Makefiles run on the make 3.81 that macOS ships, and in any POSIX shell."""

import re
import subprocess
from typing import Final

import pytest

from infra.local.paths import ROOT

FILES: Final = ("Makefile", "functions/Makefile")
NEWS: Final = "https://git.savannah.gnu.org/cgit/make.git/tree/NEWS"
"""Each version's new features. Searched for by the words after the version below."""
NEWER: Final = {
    r"^\.ONESHELL": "3.82: .ONESHELL",
    r"^\.SHELLFLAGS": "3.82: .SHELLFLAGS",
    r"^\s*undefine ": "3.82: undefine",
    r"^\s*private ": "3.82: private",
    r"^\s*define \w+ *[:?+]?=": "3.82: define with an assignment",
    r"::=": "4.0: POSIX simple assignment",
    r"^\w+ *!=": "4.0: shell assignment",
    r"\$\((?:file|guile) ": "4.0: $(file), $(guile)",
    r"^-?load ": "4.0: load",
    r"--output-sync|\s-O\b.*\$\(MAKE\)|\$\(MAKE\).*\s-O\b": "4.0: --output-sync",
    r"--trace\b": "4.0: --trace",
    r"\.SHELLSTATUS": "4.2: .SHELLSTATUS",
    r"&:": "4.3: grouped targets",
    r"\.EXTRA_PREREQS": "4.3: .EXTRA_PREREQS",
    r":::=": "4.4: POSIX immediate assignment",
    r"\$\((?:let|intcmp) ": "4.4: $(let), $(intcmp)",
    r"\.WAIT\b": "4.4: .WAIT",
    r"^\.NOTPARALLEL *: *\S": "4.4: .NOTPARALLEL with prerequisites",
    r"--shuffle|--jobserver-style": "4.4: --shuffle, --jobserver-style",
}
NOT_POSIX: Final = {
    r"^SHELL\b": "the default is /bin/sh, which every system has",
    r"\[\[": "[[ is of bash",
    r"[<>]\(|&>|<<<": "process substitution and such redirections are of bash",
    r"(?:^|[;&|]\s*)(?:source|function|declare|local|pushd) ": "a word of bash",
    r"(?<!\$)\$\$'": "quotes of bash",
    r"\$\$\{\w+[/^,]": "substitution in a variable is of bash",
    (
        r"\bsed (?:-\w+ )*-i|\breadlink -f|\bcp -\w*l|\bstat -c|\bdate -d|\bgrep -\w*P"
        r"|\bxargs -r|\bmktemp --|\bsort -\w*V"
    ): "macOS' own tool takes no such option",
}


def _lines(file: str) -> list[str]:
    """What make reads, without comments."""
    return [line for line in (ROOT / file).read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("file", FILES)
def test_no_makefile_uses_what_make_381_lacks(file: str) -> None:
    """That is the newest make under the GPL 2, and so the one on every Mac."""
    found = [
        (why, line)
        for line in _lines(file)
        for newer, why in NEWER.items()
        if re.search(newer, line)
    ]
    assert found == [], NEWS


@pytest.mark.parametrize("file", FILES)
def test_no_recipe_needs_bash_or_gnu_tools(file: str) -> None:
    """Alpine has no bash, and macOS has BSD's tools."""
    found = [
        (why, line)
        for line in _lines(file)
        for odd, why in NOT_POSIX.items()
        if re.search(odd, line.strip())
    ]
    assert found == []


@pytest.mark.parametrize(
    "target", re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
)
def test_every_recipe_is_a_shell_program(target: str) -> None:
    """As the shell of this machine parses it; on Debian that is dash."""
    program = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    commands = "\n".join(line for line in program.splitlines() if not line.startswith("make["))
    done = subprocess.run(
        ["/bin/sh", "-n"], input=commands, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "check: ; $(MAKE) --output-sync=target",
        ".ONESHELL:",
        "a b &: c",
        "x != date",
        "$(file >x)",
        "define A =",
        "x ::= 1",
    ],
)
def test_a_newer_feature_is_seen(line: str) -> None:
    assert any(re.search(newer, line) for newer in NEWER)
