"""Asks the operator for a deployment's parameters. Pressing Enter always gives a working answer."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from infra.deploy.regions import partition_of
from infra.deploy.stage import Stage

NONE: Final = "-"
"""What the operator types to remove a known answer."""

SITE_URL: Final = (
    r"^$|^https://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$"
    r"|^http://localhost(:[0-9]{1,5})?$"
)
"""The template's own pattern for an origin."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question to the operator about one parameter.

    An answer must match ``pattern``; otherwise ``wanted`` is shown, and the question again. With
    ``must`` there has to be an answer. If ``after`` names a parameter, the question is asked only
    if that one has a value.
    """

    parameter: str
    words: str
    pattern: str
    wanted: str
    after: str = ""
    must: bool = False


QUESTIONS: Final = (
    Question(
        "JwtIssuer",
        "How do customers sign in? The https:// address of your OIDC issuer, "
        "or Enter for a Cognito user pool that the stack makes",
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
        "Where customers open the page, if it is at an address of yours; "
        "Enter for the address that AWS gives it",
        SITE_URL,
        "an address like https://topup.example.com, without a path or a slash at the end",
    ),
    Question(
        "AlarmTopicArn",
        "Where are alarms sent? The ARN of an SNS topic; Enter for no topic yet",
        r"arn:aws[a-z-]*:sns:\S+",
        "arn:aws:sns:...",
    ),
)
REGION: Final = Question(
    "", "AWS region", r"[a-z]+(-[a-z]+)+-\d+", "a name like eu-central-1", must=True
)
Answers = Callable[[str], str]
"""Shows a question and returns what was typed. Raises EOFError where there is no terminal."""


def region(stage: Stage, proposed: str, answers: Answers) -> Stage:
    """Ask for the region, and return the stage with it.

    botocore may not know a new region, so the operator may insist on it.
    """
    while True:
        name = _ask(REGION, stage.region or proposed, answers)
        if partition_of(name) or agreed(
            f"The AWS SDK on this machine does not know a region {name!r}. Use it anyway?", answers
        ):
            return replace(stage, region=name)


def agreed(question: str, answers: Answers) -> bool:
    """Ask a yes-or-no question and return the answer. Enter is no.

    Raises EOFError without a terminal.
    """
    return answers(f"{question} [y/N]: ").strip().lower() in ("y", "yes")


def parameters(stage: Stage, present: Mapping[str, str], answers: Answers) -> Stage:
    """Ask for the stack's parameters, and return the stage with the answers.

    ``present`` are the parameters of the deployed stack. They are offered as answers if the stage
    has none. Questions that follow from an answer are skipped without it.
    """
    answered: dict[str, str] = dict(stage.parameters)
    for question in QUESTIONS:
        if question.after and not answered.get(question.after):
            continue
        name = question.parameter
        known = answered.get(name, present.get(name, ""))
        answer = _ask(question, known, answers)
        if answer or known:
            answered[name] = answer
    return replace(stage, parameters=answered)


def _hint(question: Question, known: str) -> str:
    if not known:
        return ""
    if question.must:
        return f" [{known}]"
    return f" [{known}, or {NONE} for none]"


def _ask(question: Question, known: str, answers: Answers) -> str:
    hint = _hint(question, known)
    while True:
        typed = answers(f"{question.words}{hint}: ").strip()
        if not typed:
            if known or not question.must:
                return known
        elif typed == NONE and not question.must:
            return ""
        elif re.fullmatch(question.pattern, typed):
            return typed
        print(f"  wanted: {question.wanted}", flush=True)  # noqa: T201


def agreement(answers: Answers, *, yes: bool) -> Callable[[str], bool]:
    """Return a function that asks the operator a yes-or-no question.

    With ``yes`` (YES=1) the function does not ask, and answers yes. Callers never set ``yes`` for
    production.
    """

    def agree(question: str) -> bool:
        if yes:
            say(f"{question} yes (YES=1)")
        return yes or agreed(question, answers)

    return agree


def refuse(question: str) -> bool:
    """Print the question with the answer no, and return False.

    It replaces asking in a deployment that asks the operator nothing about its parameters.
    """
    say(f"{question} Assumed no; if that is wrong, set it in the stage's file.")
    return False


def say(words: str) -> None:
    """Print a line for the operator."""
    print(words, flush=True)  # noqa: T201
