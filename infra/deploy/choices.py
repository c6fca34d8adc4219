"""Chooses the parameters of a deployment that need no question.

They are the version of Python that the functions run on, which tables they use (the stack's own or
restored ones), whether there is a Function URL, and whether Cognito's user names are
case-sensitive. Each function returns the parameters to add, and a sentence for the operator.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from infra.build.artifact import PARSED, RUNTIME
from infra.deploy.questions import say
from infra.deploy.regions import has_function_urls
from infra.deploy.snapstart import is_wanted
from infra.deploy.stage import Stage, deployed_with

NO_SNAPSHOTS: Final = ("python3.11",)
"""The runtimes that have no SnapStart. It needs Python 3.12 or later:
https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html
"""

CASE: Final = "CaseSensitiveUserNames"
SUFFIX: Final = "TableSuffix"
"""The template's parameter that says which tables the functions use."""


def tables(
    parameters: Mapping[str, str], deployed: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """Return the parameter that keeps the tables in use, and a sentence for the operator.

    A deployment never switches between the stack's own tables and restored ones. ``deployed`` are
    the present stack's parameters. They are empty for a new stack, which begins with its own
    tables. The sentence is "" unless the stage's file names other tables.
    """
    now = deployed.get(SUFFIX, "")
    asked = parameters.get(SUFFIX)
    if asked is None and not now:
        return {}, ""
    if asked in (None, now):
        return {SUFFIX: now} if now else {}, ""
    sentence = f'{SUFFIX}="{now}", as the stack has it, not "{asked}"'
    return {SUFFIX: now}, f"{sentence}: only `topup switch` changes it."


def runtime(parameters: Mapping[str, str], built: Path) -> tuple[dict[str, str], str]:
    """Return the parameter Runtime for the Python that built the artifact, and a sentence.

    Lambda can then use the artifact's bytecode. The parameters are {} if Runtime is set already, or
    if Lambda does not have that Python.
    """
    if "Runtime" in parameters:
        return {}, f"Runtime={parameters['Runtime']}, as configured."
    allowed = json.loads((built / PARSED).read_text())["Parameters"]["Runtime"]["AllowedValues"]
    if RUNTIME not in allowed or (is_wanted(parameters) and RUNTIME in NO_SNAPSHOTS):
        fact = f"The code was built with {RUNTIME}, which cannot be deployed here"
        return {}, f"{fact}: the bytecode is ignored, and cold starts take longer."
    return {"Runtime": RUNTIME}, f"Runtime={RUNTIME}, the Python that the code was built with."


def function_url(
    parameters: Mapping[str, str], region: str, agree: Callable[[str], bool]
) -> tuple[dict[str, str], str]:
    """Return the parameter FunctionUrl, or {}, and a sentence for the operator.

    It is ``false`` if Lambda has no function URLs in the region. If AWS's page does not say,
    ``agree`` asks the operator, and a yes makes it ``true``. The result is {} if Lambda has them,
    or if ``parameters`` has FunctionUrl already.
    """
    if "FunctionUrl" in parameters:
        return {}, f"FunctionUrl={parameters['FunctionUrl']}, as configured."
    has = has_function_urls(region)
    if has:
        return {}, ""
    question = f"It is not known whether {region} has Lambda function URLs. Does it?"
    if has is None and agree(question):
        return {"FunctionUrl": "true"}, ""
    return {"FunctionUrl": "false"}, _without(region)


def user_names(
    parameters: Mapping[str, str], pool: Mapping[str, Any]
) -> tuple[dict[str, str], str]:
    """Return the parameter that keeps user names case-sensitive, and a sentence for the operator.

    The first is ``{"CaseSensitiveUserNames": "true"}`` if the stack's user pool is case-sensitive,
    which Cognito cannot change later. It is {} if ``parameters`` has it already, if the pool is not
    case-sensitive, or if there is no pool. Without anything to say, the sentence is "".

    ``pool`` is Cognito's description of the pool, or {}. A pool is case-sensitive unless it says
    otherwise:
    https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UsernameConfigurationType.html
    """
    if CASE in parameters:
        return {}, f"{CASE}={parameters[CASE]}, as configured."
    if not pool or not pool.get("UsernameConfiguration", {}).get("CaseSensitive", True):
        return {}, ""
    sentence = f"{CASE}=true: the pool of this stack was made so, and Cognito cannot change it."
    return {CASE: "true"}, sentence


def _without(region: str) -> str:
    return f"FunctionUrl=false in {region}: Stripe delivers to API Gateway alone."


def completed(
    stage: Stage, built: Path, agree: Callable[[str], bool], pool: Mapping[str, Any]
) -> Stage:
    """Return the stage with Runtime, FunctionUrl and CaseSensitiveUserNames added if needed.

    ``agree`` answers whether the region has function URLs, if AWS does not say. ``pool`` is
    Cognito's description of the user pool, or {}. The parameters are not written to the stage's
    file: the next deployment may be built by another Python.
    """
    python, words = runtime(stage.parameters, built)
    url, more = function_url(stage.parameters, stage.region, agree)
    case, names = user_names(stage.parameters, pool)
    say("\n".join(line for line in (words, more, names) if line))
    return replace(stage, parameters={**stage.parameters, **python, **url, **case})


def with_tables(stage: Stage, found: Mapping[str, Any]) -> Stage:
    """Return the stage with the parameter TableSuffix that the present stack has.

    The parameter says whether the stack uses its own tables or restored ones, and a deployment
    must not change that. ``found`` is CloudFormation's description of the stack, which may just
    have been imported. The parameter is not written to the stage's file, because the stack itself
    has it.
    """
    in_use, words = tables(stage.parameters, deployed_with(found))
    if words:
        say(words)
    return replace(stage, parameters={**stage.parameters, **in_use})
