"""Runs SAM for a stage, with the steps before and after it: ``make deploy``, ``make uninstall``."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.build.artifact import BUILD, PARSED
from infra.deploy import choices, concurrency, questions, snapstart
from infra.deploy import uninstall as leaving
from infra.deploy.kept import ElsewhereError
from infra.deploy.orphan_throttles import API, Throttles
from infra.deploy.removal import Remnant, RemovalError
from infra.deploy.stack_states import Kind
from infra.deploy.stage import Stage, deployed_with, proposals
from infra.deploy.target import StateError, Target
from infra.local.paths import ROOT, Paths

SIGNED_OUT: Final = (
    "AWS cannot be asked. If this shell is not signed in: `aws sso login`, or set AWS_PROFILE; "
    "then run the same command again"
)
NOBODY: Final = (
    "there is no terminal to ask in: run it in a terminal, "
    "or write {file} (docs/operations.md, 'Several stages')"
)
BEFORE: Final = """\
SAM now deploys {stack}. It will say that WebhookFunction has no authentication: Stripe's deliveries
are authenticated by their signature, which the function checks before anything else.
"""
NOT_DEPLOYED: Final = (
    "it was not deployed. Fix what SAM reports, then run the same command again: "
    "it looks at what was left, and asks before it removes anything"
)
REFUSED: Final = 2
REFUSALS: Final = (RemovalError, StateError, ElsewhereError, leaving.NotWholeError)


def deploy(
    stage: Stage, *, ask: bool = False, yes: bool = False, answers: questions.Answers = input
) -> int:
    """Deploy the built artifact, then run ``topup connect``, which ends with the doctor.

    Returns an exit code.
    """
    try:
        return _deploy(stage, ask=ask, yes=yes, answers=answers)
    except EOFError:
        return _refused(NOBODY.format(file=stage.file))
    except REFUSALS as error:
        return _refused(str(error))
    except (BotoCoreError, ClientError) as error:
        return _refused(f"{SIGNED_OUT}\n({error})")


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


def uninstall(
    stage: Stage,
    environment: Mapping[str, str],
    *,
    yes: bool = False,
    answers: questions.Answers = input,
) -> int:
    """Delete the stack, but keep its tables and users.

    Writes a file from which the next deployment imports them. Returns an exit code.
    """
    try:
        return _uninstall(Target.reached(stage, environment), environment, yes=yes, answers=answers)
    except EOFError:
        return _refused("there is no terminal to ask in: run it in a terminal")
    except REFUSALS as error:
        return _refused(str(error))
    except (BotoCoreError, ClientError) as error:
        return _refused(f"{SIGNED_OUT}\n({error})")


def _deploy(stage: Stage, *, ask: bool, yes: bool, answers: questions.Answers) -> int:
    asks = ask or stage.must_be_asked
    if asks:
        proposed = os.environ.get("AWS_REGION") or stage.session().region_name
        stage = questions.region(stage, str(proposed or ""), answers)
    target = Target.reached(stage)
    found = target.described()
    known = f"update {stage.stack}" if found else f"make {stage.stack}"
    _say(f"AWS account {target.account}, region {stage.region}, as {target.arn}: {known}")
    agree = _agreement(answers, yes=yes and not target.is_prod(found))
    there = target.updatable(found, agree)
    if asks:
        stage = _ask(stage, there or {}, answers)
    if there is None:
        target.take_back(agree)
    stage = _completed(stage, agree if asks else _refuse, _pool(stage, target))
    stage = _with_tables(stage, there or target.described() or {})
    _say(BEFORE.format(stack=stage.stack))
    if code := _deploy_without_orphans(stage, there, yes=yes or there is None):
        _say(NOT_DEPLOYED)
        return code
    again = f".venv/bin/topup connect --stack {stage.stack}"
    _say(f"\nconnecting {stage.stack} with Stripe (again at any time: {again})")
    command = [
        sys.executable,
        "-m",
        "infra.cli",
        "connect",
        "--yes",
        "--stack",
        stage.stack,
        *stage.where(),
    ]
    variables = {**stage.environment(), "PYTHONPATH": str(ROOT)}
    return subprocess.call(command, cwd=ROOT, env=variables)  # noqa: S603 - our own program


def _uninstall(
    target: Target, environment: Mapping[str, str], *, yes: bool, answers: questions.Answers
) -> int:
    stage, found = target.stage, target.described()
    state = target.state(found) if found else None
    if found is None or state is None or state.kind is Kind.ABSENT:
        _say(f"there is no stack {stage.stack} in account {target.account}, region {target.region}")
        return 0
    if state.kind is Kind.BUSY:
        raise StateError(target.explained(found, state))
    agree = _agreement(answers, yes=yes and not target.is_prod(found))
    if state.kind is Kind.REMNANT:
        Remnant(target.client, found, target.account, stage.folder).remove(agree)
        return 0
    kept = leaving.survey(target.client, found, target.account)
    _say(leaving.farewell(kept, stage.folder))
    if not agree(f"Delete {stage.stack}, and keep these?"):
        return _refused(f"{stage.stack} was left as it is")
    _say(f"written to {kept.write(stage.folder)}: keep that file")
    sam = str(Paths.from_environment().tools / "sam" / "bin" / "sam")
    command = [sam, "delete", "--no-prompts", "--stack-name", stage.stack, *stage.where()]
    # Beside samconfig.toml, whose names are for other commands, it would read that.
    variables = {**stage.environment(environment), "SAM_CLI_TELEMETRY": "0"}
    return subprocess.call(command, cwd=stage.folder, env=variables)  # noqa: S603 - SAM


def _ask(stage: Stage, there: Mapping[str, Any], answers: questions.Answers) -> Stage:
    """Ask all questions and write the answers to the stage's file. Returns the stage with them."""
    stage = questions.parameters(stage, proposals(there), answers)
    own = int(deployed_with(there).get(concurrency.PARAMETER, "0"))
    parameters, sentence = concurrency.proposed(
        stage.parameters, lambda: stage.client("lambda"), own
    )
    _say(sentence)
    stage = replace(stage, parameters=parameters)
    stage.keep()
    _say(f"(kept in {stage.file}; asked again with ASK=1)\n")
    return stage


def _completed(stage: Stage, agree: Callable[[str], bool], pool: Mapping[str, Any]) -> Stage:
    """Return the stage with the parameters that need no question.

    They are not written to its file: the next deployment may be built by another Python.
    """
    told, words = choices.runtime(stage.parameters, BUILD)
    url, more = choices.function_url(stage.parameters, stage.region, agree)
    case, names = choices.user_names(stage.parameters, pool)
    _say("\n".join(line for line in (words, more, names) if line))
    return replace(stage, parameters={**stage.parameters, **told, **url, **case})


def _with_tables(stage: Stage, found: Mapping[str, Any]) -> Stage:
    """Return the stage with the tables in use, also those of a stack that was just taken back.

    They are not written to its file: the stack itself has them.
    """
    tables, words = choices.tables(stage.parameters, deployed_with(found))
    if words:
        _say(words)
    return replace(stage, parameters={**stage.parameters, **tables})


def _pool(stage: Stage, target: Target) -> Mapping[str, Any]:
    """Return the stack's user pool as Cognito describes it, or {} without one."""
    if not target.described():
        return {}
    row = leaving.resource(target.client, stage.stack, "UserPool")
    if not row:
        return {}
    found: Mapping[str, Any] = stage.client("cognito-idp").describe_user_pool(
        UserPoolId=row["PhysicalResourceId"]
    )["UserPool"]
    return found


def _deploy_without_orphans(stage: Stage, there: Mapping[str, Any] | None, *, yes: bool) -> int:
    """Remove the throttles of routes that no longer exist, then deploy.

    A failed deployment gets them back. Returns SAM's exit code.
    """
    if not there:
        return _run_sam(stage, yes=yes)
    api = leaving.resource(stage.client("cloudformation"), stage.stack, API)
    if not api:
        return _run_sam(stage, yes=yes)
    throttles = Throttles(stage.client("apigatewayv2"), api["PhysicalResourceId"])
    for key in throttles.remove_orphans(json.loads((BUILD / PARSED).read_text())):
        _say(f"removed the throttle of {key}, a route that this release does not have")
    code = _run_sam(stage, yes=yes)
    if code:
        throttles.put_back()
    return code


def _run_sam(stage: Stage, *, yes: bool) -> int:
    sam = str(Paths.from_environment().tools / "sam" / "bin" / "sam")
    command = deploy_command(stage, sam, snapstart.template_for(BUILD, stage.parameters), yes=yes)
    variables = {**stage.environment(), "SAM_CLI_TELEMETRY": "0"}
    return subprocess.call(command, cwd=ROOT, env=variables)  # noqa: S603 - SAM


def _agreement(answers: questions.Answers, *, yes: bool) -> Callable[[str], bool]:
    """Return a function that asks. With ``yes`` (YES=1) it answers yes; production always asks."""

    def agree(question: str) -> bool:
        if yes:
            _say(f"{question} yes (YES=1)")
        return yes or questions.agreed(question, answers)

    return agree


def _refuse(question: str) -> bool:
    _say(f"{question} Assumed no; if that is wrong, set it in the stage's file.")
    return False


def _say(words: str) -> None:
    print(words, flush=True)  # noqa: T201


def _refused(words: str) -> int:
    print(words, file=sys.stderr, flush=True)  # noqa: T201
    return REFUSED


def main() -> int:
    """Run ``deploy STAGE [--ask] [--yes]`` or ``uninstall STAGE [--yes]``."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy.commands", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    deploying = commands.add_parser(
        "deploy", help="deploy what was built, and connect it with Stripe"
    )
    deploying.add_argument("stage", help="default, prod, or any other name")
    deploying.add_argument(
        "--ask", action="store_true", help="ask again, though the stage's file has the answers"
    )
    deploying.add_argument(
        "--yes", action="store_true", help="do not ask before a stack that is there is changed"
    )
    leaves = commands.add_parser("uninstall", help="delete the stack and keep its tables and users")
    leaves.add_argument("stage", help="as in deploy; `default` is topup-dev")
    leaves.add_argument("--yes", action="store_true", help="do not ask, except in production")
    chosen = parser.parse_args()
    if not chosen.stage:
        parser.error("say which: make uninstall STAGE=default, or STAGE=prod")
    if chosen.command == "deploy":
        return deploy(Stage.read(chosen.stage), ask=chosen.ask, yes=chosen.yes)
    return uninstall(Stage.read(chosen.stage), os.environ, yes=chosen.yes)


if __name__ == "__main__":
    sys.exit(main())
