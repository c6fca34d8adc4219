"""The page of figures comes from a run, and leaves nothing out."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from functional.template import Template
from repo.conditions import Conditions
from repo.transformed import made, transformed

from bench import __main__ as command
from bench.__main__ import AREAS
from bench.growth import OPERATIONS
from bench.page import CAP, PAGE, PICTURE, block, picture, source
from bench.rows import Row
from bench.tables import tables
from infra.local.paths import ROOT

BENCH = Path(__file__).parents[2] / "bench"


def test_every_module_that_measures_has_its_section() -> None:
    """None is forgotten on the way to the page."""
    measuring = {
        path.stem
        for path in BENCH.glob("*.py")
        if any(_is_rows(node) for node in ast.parse(path.read_text()).body)
    }
    shown = re.findall(r'^<!-- \[\[\[cog area\("(\w+)"\) ]]] -->$', PAGE.read_text(), re.MULTILINE)
    assert measuring == set(AREAS) == set(shown)
    assert len(shown) == len(AREAS)


def _is_rows(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "rows"


@pytest.mark.parametrize(
    "goal",
    [
        r"settle a payment \| 1 \(at most 1 calls\) \| 0 ",
        r"\| debit \| 1 \(at most 1 calls\)",
        r"debit with a key \| 1 \(at most 1 calls\)",
        r"debit, a hold expired meanwhile \| \d \(at most 2 calls\)",
        r"debit with a key, a hold expired meanwhile \| \d \(at most 2 calls\)",
        r"\| checkout \| 2 \(at most 2 calls\) \| 1 \(at most 1 calls\)",
        r"settle an event.*\| at most 1.25 x \|",
        r"peer: look, mark, update, update \| ",
        r"peer: powertools' idempotency around one transaction \| ",
        r"plain debit.*\| at most 1.3 x \|",
        *(
            rf"\| {handler}[^|]*, to its floor \| .* \| at most 1.1 x \|"
            for handler in sorted(Template("any", "any").handlers())
        ),
        r"artifact, zipped \| .* \| at most 8 MB \|",
        r"settle a payment, to one round trip.*\| at most 1.2 x \|",
        *(rf"{what}: 1,000,000 to 10, time.*\| at most 1.1 x \|" for what in OPERATIONS),
        r"verify the ledger, CPU an entry: 200,000 to 2,000 entries \| .* \| at most 1.1 x \|",
        r"memory of a reconciliation: .* sessions, ours \| .* \| at most 1.1 x \|",
        r"debits \| .* a second \| at least 200,000 a second \|",
        r"units a call \| .* \| at least 1,000 units \|",
        (
            r"keyed debits, 64 containers, with conflicts \| 0 \(at most 0 units\)"
            r" \| \d+ \(at most 0 of 768\)"
        ),
        r"duplicates over 32 connections: 5xx that stay \| .* \| at most 0 of",
    ],
)
def test_every_goal_is_on_the_page(goal: str) -> None:
    assert re.search(goal, PAGE.read_text())


def test_a_missed_goal_is_called_one() -> None:
    """In words, in the table; and a reached one is not."""
    assert Row("cpu", "slow", 1.5, "x", 1.25).reached is False
    assert Row("lease", "slow", 10, "a second", 20, "at least").reached is False
    assert Row("cpu", "quick", 1.25, "x", 1.25).reached is True
    assert Row("cpu", "shown", 9, "ms").reached is None


def _figures(at: str, *rows: Row, area: str = "cpu") -> dict[str, Any]:
    return {area: {"at": at, "machine": "2 cores", "rows": [row.as_answer() for row in rows]}}


def test_the_page_is_made_of_the_figures_alone() -> None:
    """A miss shows in the page and in the picture; no bar is longer than the picture."""
    figures = {
        "areas": _figures("2026-01-02 03:04 UTC", Row("cpu", "slow <thing>", 99.5, "x", 1.25))
    }
    drawn = picture(figures)
    assert "| slow <thing> | 99.5 x | at most 1.25 x | **missed** |" in block("cpu", figures)
    assert "one run (2 cores, 2026-01-02 03:04 UTC)" in source(figures)
    assert "slow &lt;thing&gt;" in drawn
    assert max(map(int, re.findall(r'width="(\d+)" height="12"', drawn))) == CAP * 130
    assert PICTURE.name == "performance.svg"


def test_figures_of_several_runs_say_so() -> None:
    """Each area when it was measured, instead of one date for all."""
    old = _figures("2026-01-02 03:04 UTC", Row("cpu", "a", 1, "x"))
    new = _figures("2026-01-03 03:04 UTC", Row("cold", "b", 1, "x"), area="cold")
    figures = {"areas": {**old, **new}}
    assert "one run (" not in source(figures)
    assert "Measured on 2026-01-02 03:04 UTC, 2 cores." in block("cpu", figures)
    assert "Measured on 2026-01-03 03:04 UTC, 2 cores." in block("cold", figures)


def test_a_miss_among_the_work_is_called_one() -> None:
    """Where several figures stand in one line, too."""
    (table,) = tables(
        "work",
        [
            Row("work", "debit: DynamoDB calls", 4, "calls", 2),
            Row("work", "debit: Stripe calls", 0, "calls", 0),
        ],
    )
    assert table.lines == [
        ("debit", "4 (at most 2 calls) **missed**", "0 (at most 0 calls)", "", "", "", "")
    ]


def test_what_was_not_measured_again_keeps_its_figures_and_its_date(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``make bench ONLY=cpu``; and the plot is drawn anew."""
    monkeypatch.setattr(command, "FIGURES", tmp_path / "bench.json")
    monkeypatch.setattr(command, "PLOT", tmp_path / "bench.svg")
    command._keep({"cold": [Row("cold", "b", 1.5, "x")], "cpu": [Row("cpu", "a", 1, "x")]}, "then")
    command._keep({"cpu": [Row("cpu", "a", 2.5, "x")]}, "now")
    areas = json.loads((tmp_path / "bench.json").read_text())["areas"]
    assert {name: (area["at"], area["rows"][0]["value"]) for name, area in areas.items()} == {
        "cpu": ("now", 2.5),
        "cold": ("then", 1.5),
    }
    assert ">2.5</text>" in (tmp_path / "bench.svg").read_text()


SCALE = (ROOT / "docs" / "scale.md").read_text()


def test_the_throttles_that_scale_md_names_are_the_templates() -> None:
    """Rate and burst of each route, as the template sets them, and no route
    that it does not name.
    """
    named = re.findall(
        r"^\| (?:`([A-Z]+ /[^`]*)`|every other route[^|]*)((?: \| [\d ]+){4}) \|$",
        SCALE,
        re.MULTILINE,
    )
    shown = {
        route: [int(cell.replace(" ", "")) for cell in cells.split("|")[1:]]
        for route, cells in named
    }
    usual, small = _throttles("us-east-1"), _throttles("eu-south-1")
    assert shown == {route: [*usual[route], *small[route]] for route in usual}


def _throttles(region: str) -> dict[str, tuple[int, int]]:
    whole = Conditions(transformed())
    stage = whole.settled(
        made("AWS::ApiGatewayV2::Stage")["HttpApiApiGatewayDefaultStage"], {"AWS::Region": region}
    )
    rows = {**stage["RouteSettings"], "": stage["DefaultRouteSettings"]}
    return {
        route: (row["ThrottlingRateLimit"], row["ThrottlingBurstLimit"])
        for route, row in rows.items()
    }


def test_the_capacity_that_scale_md_reckons_with_is_what_was_counted() -> None:
    """In all and on the busiest table, as the page of figures has them."""
    counted = {
        name: (float(total), float(busiest))
        for name, total, busiest in re.findall(
            r"^\| ([^|]+) \| [^|]+ \| [^|]+ \| (\d+) \| (\d+) \| \d+ \| [\d,]+ \|$",
            PAGE.read_text(),
            re.MULTILINE,
        )
    }
    reckoned = re.findall(
        r"^\| ([^|]+) \| (\d+) \| (\d+) \([a-z ]+\) \| [\d ]+ \| [\d ]+ \|$", SCALE, re.MULTILINE
    )
    assert len(reckoned) >= 6
    for name, total, busiest in reckoned:
        assert counted[name] == (float(total), float(busiest)), name
