"""For schedules: ids without chance, and what was explored, for docs/guarantees.md."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
from support.schedules import tokens

from infra.local.paths import ROOT

FIGURES: Final = ROOT / ".local" / "figures"


@pytest.fixture(autouse=True)
def _counted_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random parts of ids are numbered."""
    monkeypatch.setattr("secrets.token_hex", lambda size: f"{next(tokens[0]):0{2 * size}x}")


@pytest.fixture(scope="module")
def record_figures(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each file of schedules leaves its own figures: two of them may run in two processes."""
    figures: dict[str, dict[str, int]] = {}
    yield figures.__setitem__
    FIGURES.mkdir(parents=True, exist_ok=True)
    name = request.path.stem.removeprefix("test_")
    (FIGURES / f"{name}.json").write_text(json.dumps(figures, indent=2))
