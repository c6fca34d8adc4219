"""Every test runs from a clone alone: none reads beside the checkout, and none is skipped for what
only some machines have.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from infra.local.paths import ROOT

FOLDERS: Final = ("tests", "infra", "functions", "client")
SKIPS: Final = ("skip", "skipif", "importorskip", "xfail")


def _climbs(tree: ast.AST, depth: int) -> Iterator[str]:
    """Yield each path from ``__file__`` or ROOT that leaves a checkout in which the file is
    ``depth`` folders deep.
    """
    for node in ast.walk(tree):
        up, start = _climb(node)
        room = {"__file__": depth, "ROOT": 0}.get(start)
        if room is not None and up > room:
            yield ast.unparse(node)


def _climb(node: ast.AST) -> tuple[int, str]:
    """Return how many folders an expression goes up, and from where."""
    match node:
        case ast.Subscript(ast.Attribute(inner, "parents"), ast.Constant(int(number))):
            up, start = _climb(inner)
            return up + number + 1, start
        case ast.Attribute(inner, "parent"):
            up, start = _climb(inner)
            return up + 1, start
        case ast.BinOp(left, ast.Div(), right):
            up, start = _climb(left)
            text = right.value if isinstance(right, ast.Constant) else ""
            return up + str(text).split("/").count(".."), start
        case ast.Call(ast.Attribute(inner, "resolve" | "absolute"), []) | ast.Call(
            ast.Name("Path"), [inner]
        ):
            return _climb(inner)
        case ast.Name(name):
            return 0, name
    return 0, ""


def _skips(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr in SKIPS
            and ast.unparse(node.value) in ("pytest", "pytest.mark")
        ):
            yield ast.unparse(node)


def _sources() -> Iterator[tuple[Path, ast.AST]]:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def test_nothing_is_read_beside_the_checkout() -> None:
    """Whatever lies there is on one machine, and a test that needs it runs nowhere else."""
    found = {str(path): list(_climbs(tree, len(path.parts))) for path, tree in _sources()}
    assert len(found) > 200
    assert {path: outside for path, outside in found.items() if outside} == {}


def test_a_test_is_skipped_only_by_the_function_that_fails_in_continuous_integration() -> None:
    """For a tool that can be installed, never for a file."""
    found = {str(path): list(_skips(tree)) for path, tree in _sources() if path.parts[0] == "tests"}
    assert {path for path, skips in found.items() if skips} == {
        "tests/support/programs.py",
        "tests/repo/test_ci.py",
    }


@pytest.mark.parametrize(
    "planted",
    [
        'Path(__file__).parents[3] / "samples"',
        'Path(__file__).resolve().parents[4] / "samples"',
        'Path(__file__).parent.parent.parent.parent / "samples"',
        'ROOT.parent / "samples"',
        'ROOT / ".." / "samples"',
        'ROOT / "../samples"',
        'Path(__file__).parents[1] / "../../samples"',
    ],
)
def test_a_path_that_leaves_the_checkout_is_found(planted: str) -> None:
    """From a file three deep, as tests/unit/test_one.py is."""
    assert list(_climbs(ast.parse(planted), 3))


@pytest.mark.parametrize(
    "fine",
    [
        "Path(__file__).parents[2]",
        "Path(__file__).resolve().parent.parent.parent",
        "ROOT / 'a..b'",
        "tmp_path.parent",
    ],
)
def test_a_path_within_the_checkout_is_not(fine: str) -> None:
    assert not list(_climbs(ast.parse(fine), 3))
