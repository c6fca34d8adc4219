"""``make deploy`` and ``make uninstall``: one stack in AWS per stage, what SAM does and what is to be done around it."""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.local import asking, leaving, publishing, reserving
from infra.local.artifact import BUILD
from infra.local.places import ROOT, Places
from infra.local.stage import Stage, proposals

SIGNED_OUT: Final = "AWS cannot be asked. If this shell is not signed in: `aws sso login`, or set AWS_PROFILE; then the same again"
NOBODY: Final = "nobody is here to be asked: run it in a terminal, or write {file} (docs/operations.md, 'Several stages')"
BEFORE: Final = """\
SAM now makes {stack} of the template. It will say that WebhookFunction has no authentication: what Stripe delivers is
authenticated by its signature, which the function checks before anything else.
"""
REFUSED: Final = 2
EMPTY: Final = ("ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE")
"""What a first deployment that failed leaves: a stack that holds nothing, cannot be updated, and is in the way of the next."""


def deploy(stage: Stage, *, ask: bool = False, yes: bool = False, answers: asking.Answers = input) -> int:
    """Deploy what was built, then ``topup connect``, which ends with the doctor. Returns an exit code."""
    try:
        stage, there = _told(stage, ask=ask, answers=answers)
    except EOFError:
        return _refused(NOBODY.format(file=stage.file))
    except (BotoCoreError, ClientError) as error:
        return _refused(f"{SIGNED_OUT}\n({error})")
    if there is None and (kept := stage.folder / f"kept-{stage.stack}.json").exists():
        print(f"taking the tables and users of the earlier {stage.stack} back, by {kept}", flush=True)  # noqa: T201
        leaving.take_back(stage.client("cloudformation"), stage.stack, kept)
    print(BEFORE.format(stack=stage.stack), flush=True)  # noqa: T201
    if code := _deployed(stage, yes=yes or there is None):
        return code
    print(f"\nconnecting {stage.stack} with Stripe (again at any time: .venv/bin/topup connect --stack {stage.stack})", flush=True)  # noqa: T201
    command = [sys.executable, "-m", "infra.ops", "connect", "--yes", "--stack", stage.stack, *stage.where()]
    return subprocess.call(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})  # noqa: S603


def deploy_command(stage: Stage, sam: str, template: Path, *, yes: bool) -> list[str]:
    """Where and how is in the stage's file. Unless ``yes``, SAM shows what will change and asks."""
    command = [sam, "deploy", "--template-file", str(template), "--config-file", str(stage.file), "--config-env", stage.name]
    overrides = ["--parameter-overrides", *stage.overrides()] if stage.parameters else []
    return [*command, "--no-confirm-changeset" if yes else "--confirm-changeset", *overrides]


def uninstall(stage: Stage, environment: Mapping[str, str], *, yes: bool = False) -> int:
    """Delete the stack; its tables and users stay, and a file is left by which the next deployment takes them back."""
    places = Places.from_environment()
    kept, file = leaving.note(stage.client("cloudformation", environment), stage.stack, stage.folder)
    print(leaving.farewell(stage.stack, kept, file), flush=True)  # noqa: T201
    sam = [str(places.tools / "sam" / "bin" / "sam"), "delete", "--stack-name", stage.stack, *stage.where()]
    command = [*sam, *(["--no-prompts"] if yes else [])]
    # Beside samconfig.toml, whose names are for other commands, it would read that.
    return subprocess.call(command, cwd=stage.folder, env={**environment, "SAM_CLI_TELEMETRY": "0"})  # noqa: S603


def _told(stage: Stage, *, ask: bool, answers: asking.Answers) -> tuple[Stage, dict[str, Any] | None]:
    """The stage with all answers, kept in its file; and its stack, if there is one."""
    asks = ask or stage.must_be_asked
    if asks:
        stage = asking.region(stage, str(boto3.Session(profile_name=stage.profile or None).region_name or ""), answers)
    caller = stage.client("sts").get_caller_identity()
    there = _described(stage)
    known = f"update {stage.stack}" if there else f"make {stage.stack}"
    print(f"AWS account {caller['Account']}, region {stage.region}, as {caller['Arn']}: {known}", flush=True)  # noqa: T201
    if asks:
        stage = asking.parameters(stage, proposals(there or {}), answers)
        parameters, sentence = reserving.proposed(stage.parameters, lambda: stage.client("lambda"))
        print(sentence, flush=True)  # noqa: T201
        stage = replace(stage, parameters=parameters)
        stage.keep()
        print(f"(kept in {stage.file}; asked again with ASK=1)\n", flush=True)  # noqa: T201
    return stage, there


def _described(stage: Stage) -> dict[str, Any] | None:
    """A stack that was never made, or that only a change set was made for, is none; one that a failure left empty goes."""
    client = stage.client("cloudformation")
    try:
        (found,) = client.describe_stacks(StackName=stage.stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    if found["StackStatus"] in EMPTY:
        client.delete_stack(StackName=stage.stack)
        client.get_waiter("stack_delete_complete").wait(StackName=stage.stack)
        return None
    return None if found["StackStatus"] == "REVIEW_IN_PROGRESS" else dict(found)


def _deployed(stage: Stage, *, yes: bool) -> int:
    sam = str(Places.from_environment().tools / "sam" / "bin" / "sam")
    command = deploy_command(stage, sam, publishing.template_for(BUILD, stage.parameters), yes=yes)
    return subprocess.call(command, cwd=ROOT, env={**os.environ, "SAM_CLI_TELEMETRY": "0"})  # noqa: S603


def _refused(words: str) -> int:
    print(words, file=sys.stderr, flush=True)  # noqa: T201
    return REFUSED


def main() -> int:
    """``deploy STAGE [--ask] [--yes]``, ``uninstall STAGE [--yes]``."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.stages", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    deploying = commands.add_parser("deploy", help="deploy what was built, and connect it with Stripe")
    deploying.add_argument("stage", help="default, prod, or any other name")
    deploying.add_argument("--ask", action="store_true", help="ask again, though the stage's file has the answers")
    deploying.add_argument("--yes", action="store_true", help="do not ask before a stack that is there is changed")
    leaves = commands.add_parser("uninstall", help="delete the stack and keep its tables and users")
    leaves.add_argument("stage", help="as in deploy; `default` is topup-dev")
    leaves.add_argument("--yes", action="store_true", help="do not ask")
    chosen = parser.parse_args()
    if not chosen.stage:
        parser.error("say which: make uninstall STAGE=default, or STAGE=prod")
    if chosen.command == "deploy":
        return deploy(Stage.read(chosen.stage), ask=chosen.ask, yes=chosen.yes)
    return uninstall(Stage.read(chosen.stage), os.environ, yes=chosen.yes)


if __name__ == "__main__":
    sys.exit(main())
