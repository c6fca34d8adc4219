"""The suite's share of ``make soak``, and that a soak finds what is wrong, goes on where it was
stopped, and is the same each time.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest
from mutants.planted import PLANTED
from soak.progress import Progress
from soak.run import BATCH, WHOLE, Wrong, batch, publish
from soak.store import CALLS_TOLD
from soak.world import ON_THE_WIRE, faults_in
from support.schedules import FAULTS

from infra.local.paths import ROOT
from tools.docs.figures import soak_text

BATCHES: Final = 10
FOUND: Final = (
    "the only guard of a credit is the event's id",
    "quota and payment are two transactions",
)
"""Planted, and seen by a soak within its first histories."""


def _soaking(
    folder: Path, *options: str, functions: Path = ROOT / "functions"
) -> subprocess.Popen[str]:
    path = f"{functions}:{ROOT / 'tests'}:{ROOT}"
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "soak",
            "--seed",
            "7",
            "--state",
            str(folder / "state.json"),
            *options,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_histories_with_every_fault_at_every_call_end_as_the_model_says() -> None:
    """No kind is missing at any place, and none on the wire."""
    counts = Counter[str]()
    for number in range(BATCHES):
        found = batch("the suite's", number * BATCH)
        assert not isinstance(found, Wrong), str(found)
        counts += found
    assert counts["right"] == counts["histories"] == BATCHES * BATCH
    assert [
        f"{kind} at call {call}"
        for kind in FAULTS
        for call in range(1, CALLS_TOLD + 1)
        if not counts[f"{kind} at call {call}"]
    ] == []
    assert faults_in(counts).keys() == {*FAULTS, *ON_THE_WIRE}
    assert all(faults_in(counts).values())


@pytest.mark.parametrize("name", FOUND)
def test_a_soak_finds_what_is_planted_and_says_how_to_see_it_again(
    tmp_path: Path, name: str
) -> None:
    """The line that it prints plays just that history, which goes wrong again, and is whole without
    the bug.
    """
    (bug,) = [bug for bug in PLANTED if bug.name == name]
    shutil.copytree(ROOT / "functions", tmp_path / "functions")
    bug.plant(tmp_path)
    run = _soaking(tmp_path, "--deliveries", "20000", functions=tmp_path / "functions")
    told, _ = run.communicate()
    assert run.returncode == 1, told
    again = re.search(r"make soak SEED=7 HISTORY=(\d+)$", told)
    assert again, told
    ends = [
        _soaking(tmp_path, "--history", again[1], functions=place)
        for place in (tmp_path / "functions", ROOT / "functions")
    ]
    assert [end.wait() for end in ends] == [1, 0], [end.communicate() for end in ends]


def test_a_soak_that_is_stopped_goes_on_and_ends_as_one_that_was_not(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    stopped = _soaking(tmp_path, "--deliveries", str(WHOLE))
    while not state.exists():
        assert stopped.poll() is None, stopped.communicate()
    stopped.send_signal(signal.SIGINT)
    _, told = stopped.communicate()
    assert stopped.returncode == 130
    assert "make soak SEED=7 goes on from here" in told
    kept = Progress.resumed(state, "7")
    assert kept is not None
    assert (kept.begun, kept.begun) >= (BATCH, kept.counts["histories"])
    asked = str(kept.deliveries + 100)
    resumed = _soaking(tmp_path, "--deliveries", asked).communicate()
    assert f"from history {kept.begun}" in resumed[1]
    assert not state.exists()
    whole = _soaking(tmp_path, "--deliveries", asked).communicate()
    assert "from history 0" in whole[1]
    figures = [
        [line for line in said.splitlines() if not line.startswith("seconds")]
        for said in (resumed[0], whole[0])
    ]
    assert figures[0] == figures[1]
    assert f"deliveries: {kept.deliveries}" not in figures[0]


@pytest.mark.parametrize("changed", [{"code": "of another state"}, {"seed": "8"}])
def test_a_run_of_other_code_or_another_seed_is_not_gone_on_with(
    tmp_path: Path, changed: dict[str, str]
) -> None:
    """Its figures are of that alone."""
    state = tmp_path / "state.json"
    Progress("7", BATCH).save(state)
    assert Progress.resumed(state, "7") == Progress.resumed(state, "") == Progress("7", BATCH)
    state.write_text(json.dumps({**json.loads(state.read_text()), **changed}))
    assert Progress.resumed(state, "7") is None


@pytest.mark.parametrize(
    ("counts", "is_published"),
    [
        ({"deliveries": WHOLE, "histories": 9, "right": 9}, True),
        ({"deliveries": WHOLE - 1, "histories": 9, "right": 9}, False),
        ({"deliveries": WHOLE, "histories": 9, "right": 8}, False),
    ],
)
def test_only_a_whole_run_in_which_all_was_right_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: dict[str, Any], *, is_published: bool
) -> None:
    """The page of guarantees is not written otherwise."""
    monkeypatch.setattr("tools.docs.figures.FIGURES", tmp_path)
    publish(Progress("7", 20, 60.0, Counter(counts)), tmp_path / "soak.json")
    if is_published:
        shown = soak_text() or ""
        assert "| deliveries | 1 000 000 |" in shown
        assert "| histories with a unit lost or doubled | 0 |" in shown
    else:
        with pytest.raises(SystemExit, match="not published"):
            soak_text()
