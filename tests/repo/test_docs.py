"""Every name that a reader may have to look up is in the pages."""

import re
from pathlib import Path
from typing import Any

import pytest
from billing.stripe_api.connection import API_VERSION
from billing.stripe_api.events import SUBSCRIBED
from billing.telemetry import METRICS
from repo.declared import alarms, make_targets, parameters, stand_variables, variables
from typer.main import get_command

from infra.cli.app import app
from infra.local.paths import ROOT

GUIDE = (ROOT / "docs" / "operations.md").read_text()
PAGES = "\n".join(
    path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
)
WRITTEN = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "client" / "README.md"]
)


def _commands() -> dict[str, list[str]]:
    """``ledger verify``: its flags."""
    found: dict[str, list[str]] = {}
    todo: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    while todo:
        path, command = todo.pop()
        children = getattr(command, "commands", {})
        todo += [((*path, name), child) for name, child in children.items()]
        if path and (not children or getattr(command, "invoke_without_command", False)):
            found[" ".join(path)] = [
                flag
                for parameter in command.params
                for flag in parameter.opts
                if flag.startswith("--")
            ]
    return found


@pytest.mark.parametrize(("command", "flags"), _commands().items())
def test_every_command_and_its_flags_are_in_the_guide(command: str, flags: list[str]) -> None:
    """Each has a heading of its own with the output of a run, and no stale flag."""
    section = GUIDE.partition(f"\n### topup {command}\n")[2].partition("\n### ")[0]
    assert f"$ topup {command}" in section
    options = section.rpartition("\nOptions:\n")[2].partition("```")[0]
    shown = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", options, re.MULTILINE)) - {"--help"}
    assert f"$ topup {command} --help" in section
    assert shown == set(flags)


def test_the_guide_has_no_command_that_is_gone() -> None:
    """There is a heading for each command, and no other."""
    assert set(re.findall(r"^### topup (.+)$", GUIDE, re.MULTILINE)) == set(_commands())


@pytest.mark.parametrize(
    ("what", "names"),
    {
        "parameters": list(parameters()),
        "variables": [*variables(), *stand_variables()],
        "alarms": [f"{name}Alarm" for name in alarms()],
        "metrics": list(METRICS),
        "make targets": [f"make {name}" for name in make_targets()],
        "events": [*SUBSCRIBED, API_VERSION],
    }.items(),
)
def test_every_name_is_in_the_pages(what: str, names: list[str]) -> None:
    """An operator looks names up at three in the morning."""
    missing = [
        name
        for name in names
        if not re.search(rf"`{re.escape(name)}\b|### {re.escape(name)}\b", PAGES)
    ]
    assert not missing, f"{what} that no page names: {missing}"


def test_every_variable_of_ours_that_is_read_anywhere_is_declared() -> None:
    """The list is written by hand and could miss a new variable.

    These are the names that begin with ours; another test compares the list with the pages.
    """
    sources = [
        ROOT / "Makefile",
        *(
            path
            for folder in ("client", "functions", "infra", "tests")
            for path in (ROOT / folder).rglob("*.py")
        ),
    ]
    read = {
        name
        for path in sources
        if path.name != "declared.py"
        for name in re.findall(r"\bTOPUP_[A-Z_]+\b", path.read_text())
    }
    assert read == {name for name in stand_variables() if name.startswith("TOPUP_")}


def test_the_guide_names_nothing_that_is_gone() -> None:
    """A stale line misleads more than a missing one."""
    guide = (ROOT / "docs" / "operations.md").read_text()
    declared = {
        "Metrics": set(METRICS),
        "Parameters": set(parameters()),
        "Environment variables of the functions": set(variables()),
        "The local stack": {*stand_variables(), *(f"make {name}" for name in make_targets())},
    }
    assert {
        heading: set(re.findall(r"^\| `([^`]+)` \|", _section(guide, heading), re.MULTILINE))
        for heading in declared
    } == declared
    assert set(re.findall(r"^### (\w+)Alarm$", guide, re.MULTILINE)) == set(alarms())


def _section(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_it(page: Path) -> None:
    """Links within the repository; the others are the web's."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_it(page: Path) -> None:
    """Also those within the page."""
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text()):
        linked = page.parent / target if target else page
        assert anchor in _anchors(linked), f"{page.name} links to {target}#{anchor}"


def _anchors(page: Path) -> set[str]:
    """Return the anchors that a forge makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_decision_says_why_and_since_when() -> None:
    """Each heading is one decision, with a reason or a rejected way, and its date."""
    for page in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        for decision in re.split(r"^## ", page.read_text(), flags=re.MULTILINE)[1:]:
            title = decision.partition("\n")[0]
            assert re.search(r"^\*\*(Decision|Why|Rejected)\.\*\* ", decision, re.MULTILINE), title
            assert re.search(r"^\*\*Status\.\*\* 20\d\d-\d\d-\d\d", decision, re.MULTILINE), title


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_file_that_a_page_names_is_there(page: Path) -> None:
    """What moves takes its name on the pages along."""
    tops = "functions|infra|tests|client|bench|tools|docs"
    named = re.findall(rf"`((?:{tops})/[\w./-]+?)(?:::\w+)?`", page.read_text())
    assert not [name for name in named if not (ROOT / name).exists()]
