"""The command line on the tests' own stand, answering in JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.stand import Stand
from typer.testing import CliRunner

from infra.cli.app import app

Topup = Callable[..., tuple[int, Any]]
TAKEN_FROM_THE_SHELL = (
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "TOPUP_STACK",
)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shell without credentials, in which no stand is up; what a command puts into its
    environment is undone.
    """
    for name in TAKEN_FROM_THE_SHELL:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("TOPUP_STATE_DIR", str(tmp_path))


@pytest.fixture
def topup(shell: None, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Topup:
    """``topup("account", "alice")``: the exit code and what ``--json`` printed."""
    del shell
    monkeypatch.setenv("TOPUP_STATE_DIR", str(stand.state))

    def run(*words: object) -> tuple[int, Any]:
        dashes = [str(word) for word in words]
        place = dashes.index("--") if "--" in dashes else len(dashes)
        done = CliRunner().invoke(app, [*dashes[:place], "--json", *dashes[place:]])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, json.loads(done.stdout) if done.stdout else None

    return run
