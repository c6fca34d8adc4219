"""What a deployment decides by the region, the builder's Python and an address: known where AWS
says, asked where it does not.
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from repo.account import ABSENT, Account
from repo.declared import parameters

from infra.build.artifact import PARSED, RUNTIME
from infra.deploy import choices, questions
from infra.deploy import commands as stages
from infra.deploy.regions import WITHOUT_FUNCTION_URLS, has_function_urls, partition_of
from infra.deploy.stage import Stage

EVERY: Final = sorted(
    {
        name
        for partition in boto3.Session().get_available_partitions()
        for name in boto3.Session().get_available_regions("lambda", partition)
    }
)
ELSEWHERE: Final = [
    name for name in EVERY if name not in boto3.Session().get_available_regions("lambda")
]
ORIGINS: Final = (
    "https://shop.example.com",
    "https://shop.example.com:8443",
    "https://xn--bcher-kva.example",
)
NO_ORIGINS: Final = (
    "https://shop.example.com/",
    "https://shop.example.com/buy",
    "https://shop.example.com?a=b",
    "https://shop.example.com#top",
    "https://me@shop.example.com",
    "https://",
    "shop.example.com",
    "ftp://shop.example.com",
    "https://shop example.com",
    "https://-shop.example.com",
    "https://shop_1.example.com",
    "https://shop.example.com:",
    "http://shop.example.com",
)


def _typing(*words: str) -> Callable[[str], str]:
    left = iter(words)
    return lambda question: next(left, f"not to be asked: {question}")


@pytest.mark.parametrize("name", EVERY)
def test_every_region_that_aws_has_may_be_typed(name: str, tmp_path: Path) -> None:
    assert (
        questions.region(Stage("qa", "topup-qa", folder=tmp_path), "", _typing(name)).region == name
    )


@pytest.mark.parametrize(
    "name", ["eusc-de-east-1", "us-gov-west-1", "us-isob-east-1", "cn-north-1"]
)
def test_regions_of_other_partitions_are_among_them(name: str) -> None:
    """Their names have more parts, or a longer first one."""
    assert name in EVERY
    assert partition_of(name) not in ("", "aws")


def test_a_region_that_the_sdk_does_not_know_is_asked_about_twice(tmp_path: Path) -> None:
    """It may be mistyped, or newer than the SDK."""
    typed = _typing("eu-middle-1", "", "eu-middle-1", "y")
    assert (
        questions.region(Stage("qa", "topup-qa", folder=tmp_path), "", typed).region
        == "eu-middle-1"
    )
    typed = _typing("eu-west-11", "n", "eu-west-1")
    assert (
        questions.region(Stage("qa", "topup-qa", folder=tmp_path), "", typed).region == "eu-west-1"
    )


def test_a_region_without_function_urls_is_one_that_lambda_is_in() -> None:
    """No name in the list is mistyped; and of other partitions nothing is claimed."""
    assert set(boto3.Session().get_available_regions("lambda")) > WITHOUT_FUNCTION_URLS
    assert len(WITHOUT_FUNCTION_URLS) == 12
    assert {name for name in EVERY if has_function_urls(name) is None} == set(ELSEWHERE)


def _overrides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, region: str, *, ask: bool, **told: str
) -> tuple[dict[str, str], list[str]]:
    """The parameters that `sam deploy` is given in a region, and the questions that were asked.

    Enter is every answer.
    """
    commands: list[list[str]] = []
    asked: list[str] = []

    def answers(question: str) -> str:
        asked.append(question)
        return ""

    def call(command: list[str], **_: Any) -> int:
        commands.append(command)
        return 1

    template = {
        "Parameters": {"Runtime": {"AllowedValues": [RUNTIME, "python3.12"]}},
        "Resources": {},
    }
    (tmp_path / PARSED).write_text(json.dumps(template))
    monkeypatch.setattr(stages, "BUILD", tmp_path)
    monkeypatch.setattr(subprocess, "call", call)
    unreserved = {"AccountLimit": {"UnreservedConcurrentExecutions": 1000}}
    Account(monkeypatch, DescribeStacks=ABSENT, GetAccountSettings=unreserved)
    stages.deploy(
        Stage("qa", "topup-qa", region, parameters={"Stage": "dev", **told}, folder=tmp_path),
        ask=ask,
        answers=answers,
    )
    (command,) = commands
    words = command[command.index("--parameter-overrides") + 1 :]
    return dict(word.split("=", 1) for word in words), asked


@pytest.mark.parametrize("ask", [True, False])
@pytest.mark.parametrize("region", sorted(WITHOUT_FUNCTION_URLS))
def test_where_there_are_no_function_urls_none_is_deployed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, region: str, *, ask: bool
) -> None:
    told, asked = _overrides(monkeypatch, tmp_path, region, ask=ask)
    assert told["FunctionUrl"] == "false"
    assert not [question for question in asked if "function URL" in question]


@pytest.mark.parametrize(("told", "expected"), [({}, None), ({"FunctionUrl": "false"}, "false")])
def test_elsewhere_the_template_or_the_given_value_decides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: dict[str, str], expected: str | None
) -> None:
    """An operator who wants API Gateway alone writes it into the stage's file."""
    assert (
        _overrides(monkeypatch, tmp_path, "eu-west-1", ask=False, **told)[0].get("FunctionUrl")
        == expected
    )


@pytest.mark.parametrize("ask", [True, False])
def test_in_an_unknown_region_the_operator_is_asked_or_informed(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    ask: bool,
) -> None:
    """A deployment without one works everywhere."""
    told, asked = _overrides(monkeypatch, tmp_path, "eusc-de-east-1", ask=ask)
    assert told["FunctionUrl"] == "false"
    assert bool([question for question in asked if "function URL" in question]) is ask
    assert "FunctionUrl=false in eusc-de-east-1" in capsys.readouterr().out


def test_the_builders_python_is_deployed_unless_another_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Bytecode of another Python is ignored, and compiling at a cold start
    costs most of a second.
    """
    assert _overrides(monkeypatch, tmp_path, "eu-west-1", ask=True)[0]["Runtime"] == RUNTIME
    assert "Runtime" not in Stage.read("qa", folder=tmp_path).parameters, (
        "the next builder may have another"
    )
    assert (
        _overrides(monkeypatch, tmp_path, "eu-west-1", ask=False, Runtime="python3.12")[0][
            "Runtime"
        ]
        == "python3.12"
    )


@pytest.mark.parametrize(
    ("allowed", "told"), [(["python3.0"], {}), ([RUNTIME], {"SnapStart": "PublishedVersions"})]
)
def test_a_python_that_cannot_be_deployed_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, allowed: list[str], told: dict[str, str]
) -> None:
    """Lambda does not have it, or has no snapshots of it: the template's own is taken, and the
    reason said.
    """
    monkeypatch.setattr(choices, "NO_SNAPSHOTS", (RUNTIME,))
    (tmp_path / PARSED).write_text(
        json.dumps({"Parameters": {"Runtime": {"AllowedValues": allowed}}})
    )
    found, sentence = choices.runtime(told, tmp_path)
    assert found == {}
    assert RUNTIME in sentence


@pytest.mark.parametrize("word", [*ORIGINS, *NO_ORIGINS])
def test_an_address_of_the_page_is_an_origin_and_nothing_else(word: str, tmp_path: Path) -> None:
    """A slash or a path would be put into Stripe's return address and Cognito's
    callback as it is.
    """
    typed = _typing("", word, "") if word in ORIGINS else _typing("", word, "", "")
    told = questions.parameters(
        Stage("qa", "topup-qa", "eu-west-1", folder=tmp_path), {}, typed
    ).parameters
    assert told.get("SiteUrl", "") == (word if word in ORIGINS else "")


def test_the_question_and_the_template_take_the_same_addresses() -> None:
    (question,) = [question for question in questions.QUESTIONS if question.parameter == "SiteUrl"]
    patterns = [question.pattern, parameters()["SiteUrl"].get("AllowedPattern", question.pattern)]
    for word in (*ORIGINS, *NO_ORIGINS):
        assert [bool(re.fullmatch(shape, word)) for shape in patterns] == [word in ORIGINS] * 2, (
            word
        )
    assert len(set(patterns)) == 1
