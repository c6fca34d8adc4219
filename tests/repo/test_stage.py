"""Deploying a stage: what is asked, where the answers are kept, and what stays when it goes."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from repo.declared import TEMPLATE, parameters
from repo.transformed import transformed

from infra.deploy import commands as stages
from infra.deploy import questions, sam, uninstall
from infra.deploy.kept import Kept
from infra.deploy.stage import CONFIG, FOLDER, Stage, proposals
from infra.local.paths import ROOT

ISSUER: Final = "https://sign-in.example.com/"
TOPIC: Final = "arn:aws:sns:eu-west-1:123456789012:pager"


def _typing(*words: str) -> Callable[[str], str]:
    """An operator at the terminal who types these, in this order, and nothing more."""
    left: Iterator[str] = iter(words)

    def answer(question: str) -> str:
        return next(left, f"nobody was to be asked: {question}")

    return answer


def _stage(tmp_path: Path, **told: str) -> Stage:
    return Stage("prod", "topup-prod", "eu-west-1", "", told, tmp_path / ".topup")


def test_each_stage_has_a_stack_of_its_own(tmp_path: Path) -> None:
    """Those in samconfig.toml, and any further one. Production is proposed in live mode."""
    found = [Stage.read(name, CONFIG, tmp_path) for name in ("default", "prod", "qa")]
    assert [stage.stack for stage in found] == ["topup-dev", "topup-prod", "topup-qa"]
    assert found[1].parameters == {"Stage": "prod", "StripeMode": "live"}
    assert all(stage.must_be_asked for stage in found)


def test_answers_are_kept_where_another_release_does_not_meet_them(tmp_path: Path) -> None:
    """In a file of the stage's own, which git ignores and which SAM reads as its configuration."""
    told = {
        "Stage": "prod",
        "SiteUrl": "https://shop.example.com",
        "JwtAudience": "",
        "CorsOrigins": "https://a.example, https://b.example",
    }
    stage = Stage("prod", "shop", "eu-west-1", "seller", told, tmp_path / ".topup")
    stage.keep()
    again = Stage.read("prod", CONFIG, stage.folder)
    assert (again.stack, again.where()) == (
        "shop",
        ["--region", "eu-west-1", "--profile", "seller"],
    )
    assert again.parameters == {"StripeMode": "live"} | told
    assert not again.must_be_asked
    assert f"{FOLDER.relative_to(ROOT)}/" in (ROOT / ".gitignore").read_text().splitlines()
    assert sam.deploy_command(stage, "sam", TEMPLATE, yes=False)[4:6] == [
        "--config-file",
        str(stage.file),
    ]


def test_every_question_may_be_answered_by_enter(tmp_path: Path) -> None:
    """With the region that the shell is set to.

    What the template's defaults are is not written down.
    """
    stage = questions.region(Stage.read("prod", CONFIG, tmp_path), "eu-central-1", _typing(""))
    assert questions.parameters(stage, {}, _typing("", "", "")).parameters == {
        "Stage": "prod",
        "StripeMode": "live",
    }
    assert stage.region == "eu-central-1"


def test_an_issuer_of_ones_own_needs_its_audience(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked until it is given; what cannot be right is not taken."""
    typed = _typing(
        "sign-in.example.com",
        ISSUER,
        "",
        "api",
        "",
        "https://shop.example.com/",
        "https://shop.example.com",
        "",
    )
    told = questions.parameters(_stage(tmp_path), {}, typed).parameters
    assert told == {
        "JwtIssuer": ISSUER,
        "JwtAudience": "api",
        "SiteUrl": "https://shop.example.com",
    }
    assert capsys.readouterr().out.count("wanted:") == 3


def test_a_second_machine_changes_nothing_by_pressing_enter(tmp_path: Path) -> None:
    """What the stack was deployed with is proposed; a dash takes an answer back."""
    present = {
        "JwtIssuer": ISSUER,
        "JwtAudience": "api",
        "JwtClientId": "",
        "SiteUrl": "",
        "AlarmTopicArn": TOPIC,
    }
    same = questions.parameters(_stage(tmp_path), present, _typing("", "", "", "", ""))
    assert same.parameters == {"JwtIssuer": ISSUER, "JwtAudience": "api", "AlarmTopicArn": TOPIC}
    quiet = questions.parameters(same, present, _typing("", "", "", "", "-"))
    assert quiet.parameters["AlarmTopicArn"] == ""
    assert 'AlarmTopicArn=""' in quiet.overrides()


def test_questions_are_about_parameters_of_the_template() -> None:
    assert {question.parameter for question in questions.QUESTIONS} <= set(parameters())


def test_without_a_terminal_the_file_to_write_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    def nobody(question: str) -> str:
        raise EOFError(question)

    stage = Stage.read("prod", CONFIG, tmp_path)
    assert stages.deploy(stage, answers=nobody) == stages.REFUSED
    assert str(stage.file) in capsys.readouterr().err


def test_a_new_stack_is_made_without_a_further_question_and_one_that_is_there_is_not(
    tmp_path: Path,
) -> None:
    """SAM's own guide asks whether a function may have no authentication, and
    takes Enter for no.
    """
    stage = _stage(tmp_path)
    commands = [sam.deploy_command(stage, "sam", TEMPLATE, yes=yes) for yes in (True, False)]
    assert ["--no-confirm-changeset" in command for command in commands] == [True, False]
    assert ["--confirm-changeset" in command for command in commands] == [False, True]
    assert not [command for command in commands if "--guided" in command]


def _stack(**told: str) -> dict[str, Any]:
    """As CloudFormation describes it."""
    rows = [
        {"ParameterKey": name, "ParameterValue": told.get(name, "")}
        for name in ("SiteUrl", "JwtIssuer", "AlarmTopicArn")
    ]
    return {
        "Parameters": rows,
        "Outputs": [{"OutputKey": "ApiUrl", "OutputValue": "https://api.example"}],
    }


def test_the_apis_own_address_is_refused_as_an_answer() -> None:
    """It would be a stale one for the next stack of this stage."""
    assert proposals(_stack(SiteUrl="https://api.example", AlarmTopicArn=TOPIC)) == {
        "JwtIssuer": "",
        "AlarmTopicArn": TOPIC,
    }
    assert proposals(_stack(SiteUrl="https://shop.example"))["SiteUrl"] == "https://shop.example"
    assert proposals({}) == {}


def test_leaving_names_everything_that_stays(tmp_path: Path) -> None:
    """Every table and the users, in the form in which CloudFormation takes them back."""
    rows = [
        {
            "ResourceType": row["Type"],
            "LogicalResourceId": name,
            "PhysicalResourceId": f"physical-{name}",
        }
        for name, row in transformed()["Resources"].items()
    ]
    kept = uninstall.to_import(rows)
    retained = {
        name
        for name, row in transformed()["Resources"].items()
        if row.get("DeletionPolicy", "").startswith("Retain")
    }
    assert {row["LogicalResourceId"] for row in kept} == retained
    assert {
        "ResourceType": "AWS::Cognito::UserPool",
        "LogicalResourceId": "UserPool",
        "ResourceIdentifier": {"UserPoolId": "physical-UserPool"},
    } in kept
    said = uninstall.farewell(Kept("topup-prod", kept, {}, "123456789012", "eu-west-1"), tmp_path)
    assert all(f"physical-{name}" in said for name in retained)
    assert "account 123456789012, region eu-west-1" in said


def test_what_is_taken_back_needs_nothing_that_is_gone() -> None:
    """The template for it names no resource but those, and proposes the values of now."""
    found = uninstall.only(transformed(), {"QuotasTable", "UserPool"}, {"Stage": "prod"})
    text = json.dumps(found["Resources"])
    assert set(found["Resources"]) == {"QuotasTable", "UserPool"}
    assert found["Parameters"]["Stage"]["Default"] == "prod"
    assert not [
        name
        for name in transformed()["Resources"]
        if f'"{name}"' in text.replace('"QuotasTable": {', "").replace('"UserPool": {', "")
    ]
    assert all(row["DeletionPolicy"].startswith("Retain") for row in found["Resources"].values())


def test_make_uninstall_without_a_stage_does_nothing() -> None:
    done = subprocess.run(
        ["make", "-n", "uninstall"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert 'uninstall ""' in done.stdout
    command: list[Any] = [ROOT / ".venv/bin/python", "-m", "infra.deploy.commands", "uninstall", ""]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (refused.returncode, "say which" in refused.stderr) == (2, True)
