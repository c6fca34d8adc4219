"""What a deployment must know, asked once, in plain words, each with an answer that works when Enter is pressed."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from infra.deploy.regions import partition_of
from infra.deploy.stage import Stage

NONE: Final = "-"
"""Typed for no answer where there is one."""

SITE_URL: Final = r"^$|^https://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$|^http://localhost(:[0-9]{1,5})?$"
"""The template's own pattern for it: an origin."""


@dataclass(frozen=True, slots=True)
class Question:
    """About one parameter of the template. ``after``: asked only when that one was answered."""

    parameter: str
    words: str
    shape: str
    wanted: str
    after: str = ""
    must: bool = False


QUESTIONS: Final = (
    Question(
        "JwtIssuer",
        "How do customers sign in? The https:// address of your OIDC issuer, or Enter for a Cognito user pool that the stack makes",
        r"https://\S+",
        "an address that begins with https://, exactly as the tokens' iss says it",
    ),
    Question(
        "JwtAudience",
        "The audience that its tokens name (aud)",
        r"\S+",
        "one word",
        "JwtIssuer",
        must=True,
    ),
    Question(
        "JwtClientId",
        "The client id that the page signs in with; Enter if it is that audience",
        r"\S+",
        "one word",
        "JwtIssuer",
    ),
    Question(
        "SiteUrl",
        "Where customers open the page, if it is at an address of yours; Enter for the address that AWS gives it",
        SITE_URL,
        "an address such as https://topup.example.com, without a path and without a slash at the end",
    ),
    Question(
        "AlarmTopicArn",
        "Who hears the alarms? The ARN of an SNS topic; Enter for nobody yet",
        r"arn:aws[a-z-]*:sns:\S+",
        "arn:aws:sns:...",
    ),
)
REGION: Final = Question(
    "", "AWS region", r"[a-z]+(-[a-z]+)+-\d+", "such as eu-central-1", must=True
)
Answers = Callable[[str], str]
"""Shows a question and returns what was typed; EOFError where nobody is there."""


def region(stage: Stage, proposed: str, answers: Answers) -> Stage:
    """The stage with its region, which everything else is asked in.

    A name that botocore does not know may be newer than it.
    """
    while True:
        name = _answered(REGION, stage.region or proposed, answers)
        if partition_of(name) or agreed(
            f"The AWS SDK on this machine does not know a region {name!r}. Use it anyway?", answers
        ):
            return replace(stage, region=name)


def agreed(question: str, answers: Answers) -> bool:
    """Enter is no. EOFError where nobody is there."""
    return answers(f"{question} [y/N]: ").strip().lower() in ("y", "yes")


def parameters(stage: Stage, present: Mapping[str, str], answers: Answers) -> Stage:
    """The stage with all answers. ``present``: what a stack that is there was deployed with."""
    told: dict[str, str] = dict(stage.parameters)
    for question in QUESTIONS:
        if question.after and not told.get(question.after):
            continue
        name = question.parameter
        known = told.get(name, present.get(name, ""))
        answer = _answered(question, known, answers)
        if answer or known:
            told[name] = answer
    return replace(stage, parameters=told)


def _answered(question: Question, known: str, answers: Answers) -> str:
    hint = (
        f" [{known}, or {NONE} for none]"
        if known and not question.must
        else f" [{known}]"
        if known
        else ""
    )
    while True:
        typed = answers(f"{question.words}{hint}: ").strip()
        if not typed:
            if known or not question.must:
                return known
        elif typed == NONE and not question.must:
            return ""
        elif re.fullmatch(question.shape, typed):
            return typed
        print(f"  wanted: {question.wanted}", flush=True)  # noqa: T201
