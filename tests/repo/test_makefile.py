"""The Makefile works with the make that macOS ships (3.81, of 2006), and with any shell that POSIX
knows.
"""

import re
from typing import Final

from infra.local.paths import ROOT

TEXT: Final = (ROOT / "Makefile").read_text()
NEWER: Final = re.compile(
    r"\$\((file|guile|intcmp|let)\b|\.ONESHELL|\.SHELLSTATUS|--(output-sync|shuffle|jobserver-style)|^[\w.]+ *(::=|:::=|!=)",
    re.MULTILINE,
)
"""What came after 3.81: https://git.savannah.gnu.org/cgit/make.git/tree/NEWS."""
BASHISMS: Final = re.compile(r"\[\[|<\(|&>|\bsource |\$\$\{\w+[/^,]|\$\$'")


def test_the_makefile_uses_nothing_newer() -> None:
    """No function, no assignment and no option."""
    assert NEWER.findall(TEXT) == []


def test_the_recipes_are_for_any_shell() -> None:
    """Alpine has no bash."""
    assert not re.search(r"^SHELL\b", TEXT, re.MULTILINE), "make's own is /bin/sh"
    assert BASHISMS.findall(TEXT) == []
