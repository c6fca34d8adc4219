"""Planted bugs are found by syntax, so that a change of layout leaves them alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from mutants.bug import BILLING, Bug
from mutants.pattern import replace_once
from mutants.planted import PLANTED
from mutants.snapshot import ROOT

SOURCE = """
def settle(books, payment):
    # a comment
    books.commit(
        Write("payments", payment.key,
              set={"phase": 1}, must=(equals('version', 1), exists("owner"))),
    )
    if payment.is_late:
        log("late")
        return None
    try:
        return read(payment)
    except (KeyError, ValueError):
        return False
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('(equals("version", 1), exists("owner"))', "()", "must=()"),
        ('Write("payments", ..., **...)', "check(..., **...)", "check(payment.key, set="),
        ("if payment.is_late:\n    ...", "if True:\n    ...", "if True:\n        log('late')"),
        ("if payment.is_late:\n    ...", "pass", "    pass\n    try:"),
        ("try:\n    ...\nexcept ...:\n    return False", "...", "\n    return read(payment)"),
        ('log("late")\nreturn None', "return 1", "return 1\n    try"),
    ],
)
def test_code_is_replaced_whatever_its_layout(old: str, new: str, expected: str) -> None:
    tree = ast.parse(SOURCE)
    assert replace_once(tree, old, new) == 1
    assert expected in ast.unparse(ast.fix_missing_locations(tree))


@pytest.mark.parametrize(
    ("old", "times"), [("payment", 3), ("refund", 0), ("Write(..., **...)", 0)]
)
def test_code_that_is_there_several_times_or_not_at_all_is_left_alone(old: str, times: int) -> None:
    tree = ast.parse(SOURCE)
    before = ast.unparse(tree)
    assert replace_once(tree, old, "other") == times
    assert ast.unparse(tree) == before


def test_no_bug_is_planted_twice() -> None:
    names = [bug.name for bug in PLANTED]
    edits = [(bug.edits, bug.killers) for bug in PLANTED]
    assert len(set(names)) == len(set(edits)) == len(names) >= 60


@pytest.mark.parametrize("bug", PLANTED, ids=[bug.name for bug in PLANTED])
def test_a_bug_fits_the_code_and_the_tests_that_must_notice_it_exist(bug: Bug) -> None:
    """A change that moves the code takes its bugs along."""
    bug.check(ROOT)


def test_a_planted_bug_uses_no_name_that_is_not_there(tmp_path: Path) -> None:
    """Else it would be noticed for a NameError, and not for what it does."""
    files: list[Path] = []
    for number, bug in enumerate(PLANTED):
        root = tmp_path / str(number)
        for edit in bug.edits:
            files.append(root / BILLING / edit.file)
            files[-1].parent.mkdir(parents=True, exist_ok=True)
            source = (ROOT / BILLING / edit.file).read_text(encoding="utf-8")
            files[-1].write_text(source, encoding="utf-8")
        bug.plant(root)
    ruff: list[Path | str] = [Path(sys.executable).with_name("ruff"), "check", "--isolated"]
    ruff += ["--select", "F821"]
    done = subprocess.run([*ruff, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
