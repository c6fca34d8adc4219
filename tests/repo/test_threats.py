import ast
import re

import pytest

from infra.local.paths import ROOT

PAGE = (ROOT / "docs" / "threats.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_the_page_names_a_test_for_every_threat() -> None:
    """A line of a table without one would be a hope."""
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith("| ") and "|---" not in line and not line.endswith("| Test |")
    ]
    assert len(rows) > 30
    assert not [row for row in rows if not re.search(r"\| `tests/[\w/]+\.py::\w+` \|$", row)]


@pytest.mark.parametrize(
    ("path", "name"), sorted(set(NAMED)), ids=lambda part: part.rpartition("/")[2]
)
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    """A test that was renamed or dropped takes its line with it."""
    tree = ast.parse((ROOT / path).read_text())
    assert name in {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
