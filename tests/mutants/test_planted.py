from pathlib import Path

import pytest
from mutants.bug import Bug
from mutants.planted import PLANTED

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_a_planted_bug_still_fits_the_product(bug: Bug) -> None:
    """What it replaces is there exactly once, and what it plants is another program that can be read."""
    for edit in bug.edits:
        before, after = edit.changed(ROOT)
        assert before != after
        compile(after, edit.file, "exec")


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_the_tests_that_must_notice_it_are_there(bug: Bug) -> None:
    """A killer that was renamed kills nothing."""
    for killer in bug.killers:
        path, _, test = killer.partition("::")
        assert f"def {test.partition('[')[0]}(" in (ROOT / path).read_text(encoding="utf-8")


def test_no_bug_is_planted_twice() -> None:
    """Names are sentences of their own."""
    names = [bug.name for bug in PLANTED]
    assert len(set(names)) == len(names) >= 32
