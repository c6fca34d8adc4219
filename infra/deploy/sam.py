"""Runs `sam deploy` for a stage, after removing route settings that would make it fail.

They are throttles (rate limits) of routes that the new template no longer has.
"""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.build.artifact import PARSED
from infra.deploy import questions, snapstart
from infra.deploy import uninstall as leaving
from infra.deploy.orphan_throttles import API, Throttles
from infra.deploy.stage import Stage
from infra.local.paths import ROOT, Paths


def program() -> str:
    """Return the path of the SAM CLI that `make setup` installed."""
    return str(Paths.from_environment().tools / "sam" / "bin" / "sam")


def deploy_command(stage: Stage, sam: str, template: Any, *, yes: bool) -> list[str]:
    """Return SAM's command line. Unless ``yes``, SAM shows the changes and asks.

    The region, the stack and the parameters come from the stage.
    """
    command = [
        sam,
        "deploy",
        "--template-file",
        str(template),
        "--config-file",
        str(stage.file),
        "--config-env",
        stage.name,
    ]
    overrides = ["--parameter-overrides", *stage.overrides()] if stage.parameters else []
    return [
        *command,
        *stage.where(),
        "--no-confirm-changeset" if yes else "--confirm-changeset",
        *overrides,
    ]


def deploy_without_orphans(
    stage: Stage, there: Mapping[str, Any] | None, built: Path, *, yes: bool
) -> int:
    """Remove the throttles of routes that no longer exist, then deploy.

    If the deployment fails, the throttles are put back. ``there`` is CloudFormation's description
    of the stack, or None for a new one. Returns SAM's exit code.
    """
    if not there:
        return run(stage, built, yes=yes)
    api = leaving.resource(stage.client("cloudformation"), stage.stack, API)
    if not api:
        return run(stage, built, yes=yes)
    throttles = Throttles(stage.client("apigatewayv2"), api["PhysicalResourceId"])
    for key in throttles.remove_orphans(json.loads((built / PARSED).read_text())):
        questions.say(f"removed the throttle of {key}, a route that this release does not have")
    code = run(stage, built, yes=yes)
    if code:
        throttles.put_back()
    return code


def run(stage: Stage, built: Path, *, yes: bool) -> int:
    """Run `sam deploy` for the artifact in ``built``. Returns its exit code."""
    template = snapstart.template_for(built, stage.parameters)
    command = deploy_command(stage, program(), template, yes=yes)
    variables = {**stage.environment(), "SAM_CLI_TELEMETRY": "0"}
    return subprocess.call(command, cwd=ROOT, env=variables)  # noqa: S603 - SAM
