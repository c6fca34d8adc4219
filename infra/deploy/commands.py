"""Runs SAM for a stage, with the steps before and after it: ``make deploy``, ``make uninstall``."""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.build.artifact import BUILD
from infra.deploy import choices, concurrency, questions, sam
from infra.deploy import uninstall as leaving
from infra.deploy.kept import ElsewhereError
from infra.deploy.removal import Remnant, RemovalError
from infra.deploy.stack_states import Kind
from infra.deploy.stage import Stage, deployed_with, proposals
from infra.deploy.target import StateError, Target
from infra.local.paths import ROOT

SIGNED_OUT: Final = (
    "AWS cannot be asked. If this shell is not signed in: `aws sso login`, or set AWS_PROFILE; "
    "then run the same command again"
)
NO_TERMINAL: Final = (
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
        return _refused(NO_TERMINAL.format(file=stage.file))
    except REFUSALS as error:
        return _refused(str(error))
    except (BotoCoreError, ClientError) as error:
        return _refused(f"{SIGNED_OUT}\n({error})")


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
    questions.say(f"AWS account {target.account}, region {stage.region}, as {target.arn}: {known}")
    agree = questions.agreement(answers, yes=yes and not target.is_prod(found))
    there = target.updatable(found, agree)
    if asks:
        stage = _ask(stage, there or {}, answers)
    if there is None:
        target.take_back(agree)
    stage = choices.completed(
        stage, BUILD, agree if asks else questions.refuse, _pool(stage, target)
    )
    stage = choices.with_tables(stage, there or target.described() or {})
    questions.say(BEFORE.format(stack=stage.stack))
    if code := sam.deploy_without_orphans(stage, there, BUILD, yes=yes or there is None):
        questions.say(NOT_DEPLOYED)
        return code
    again = f".venv/bin/topup connect --stack {stage.stack}"
    questions.say(f"\nconnecting {stage.stack} with Stripe (again at any time: {again})")
    connect = [sys.executable, "-m", "infra.cli", "connect", "--yes"]
    command = [*connect, "--stack", stage.stack, *stage.where()]
    variables = {**stage.environment(), "PYTHONPATH": str(ROOT)}
    return subprocess.call(command, cwd=ROOT, env=variables)  # noqa: S603 - our own program


def _uninstall(
    target: Target, environment: Mapping[str, str], *, yes: bool, answers: questions.Answers
) -> int:
    stage, found = target.stage, target.described()
    state = target.state(found) if found else None
    if found is None or state is None or state.kind is Kind.ABSENT:
        questions.say(
            f"there is no stack {stage.stack} in account {target.account}, region {target.region}"
        )
        return 0
    if state.kind is Kind.BUSY:
        raise StateError(target.explained(found, state))
    agree = questions.agreement(answers, yes=yes and not target.is_prod(found))
    if state.kind is Kind.REMNANT:
        Remnant(target.client, found, target.account, stage.folder).remove(agree)
        return 0
    kept = leaving.survey(target.client, found, target.account)
    questions.say(leaving.farewell(kept, stage.folder))
    if not agree(f"Delete {stage.stack}, and keep these?"):
        return _refused(f"{stage.stack} was left as it is")
    questions.say(f"written to {kept.write(stage.folder)}: keep that file")
    command = [sam.program(), "delete", "--no-prompts", "--stack-name", stage.stack, *stage.where()]
    # Beside samconfig.toml, whose names are for other commands, it would read that.
    variables = {**stage.environment(environment), "SAM_CLI_TELEMETRY": "0"}
    return subprocess.call(command, cwd=stage.folder, env=variables)  # noqa: S603 - SAM


def _ask(stage: Stage, there: Mapping[str, Any], answers: questions.Answers) -> Stage:
    """Ask all questions and write the answers to the stage's file. Returns the stage with them.

    ``there`` is CloudFormation's description of the present stack, or {}.
    """
    stage = questions.parameters(stage, proposals(there), answers)
    own = int(deployed_with(there).get(concurrency.PARAMETER, "0"))
    parameters, sentence = concurrency.proposed(
        stage.parameters, lambda: stage.client("lambda"), own
    )
    questions.say(sentence)
    stage = replace(stage, parameters=parameters)
    stage.keep()
    questions.say(f"(kept in {stage.file}; asked again with ASK=1)\n")
    return stage


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
