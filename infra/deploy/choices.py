"""What a deployment decides without asking: the functions' Python, the tables in use, and whether there can be a Function URL."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from infra.build.artifact import PARSED, RUNTIME
from infra.deploy.regions import has_function_urls
from infra.deploy.snapstart import is_wanted

NO_SNAPSHOTS: Final = ("python3.11",)
"""SnapStart is for Python 3.12 and later:
https://docs.aws.amazon.com/lambda/latest/dg/snapstart.html"""

CASE: Final = "CaseSensitiveUserNames"
SUFFIX: Final = "TableSuffix"
"""The template's parameter that says which tables the functions use."""


def tables(
    parameters: Mapping[str, str], deployed: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """The tables that the stack uses now, and a sentence where a file says otherwise: a deployment never switches.

    ``deployed``: what the stack was deployed with; nothing where there is none, which must begin with tables of its own.
    """
    now, told = deployed.get(SUFFIX, ""), parameters.get(SUFFIX)
    if told in (None, now):
        return ({SUFFIX: now} if now else {}), ""
    return {
        SUFFIX: now
    }, f'{SUFFIX}="{now}", as the stack has it, not "{told}": only `topup switch` changes it.'


def runtime(parameters: Mapping[str, str], built: Path) -> tuple[dict[str, str], str]:
    """The builder's Python, whose bytecode is in the artifact; and a sentence.

    Nothing where it was told, or Lambda has no such Python.
    """
    if "Runtime" in parameters:
        return {}, f"Runtime={parameters['Runtime']}, as it was told."
    allowed = json.loads((built / PARSED).read_text())["Parameters"]["Runtime"]["AllowedValues"]
    if RUNTIME not in allowed or (is_wanted(parameters) and RUNTIME in NO_SNAPSHOTS):
        return (
            {},
            f"The code was built with {RUNTIME}, which cannot be deployed here: the bytecode is ignored, and cold starts take longer.",
        )
    return {"Runtime": RUNTIME}, f"Runtime={RUNTIME}, the Python that the code was built with."


def function_url(
    parameters: Mapping[str, str], region: str, agree: Callable[[str], bool]
) -> tuple[dict[str, str], str]:
    """``FunctionUrl=false`` where Lambda has none; and a sentence.

    ``agree`` is asked where AWS's page does not say.
    """
    if "FunctionUrl" in parameters:
        return {}, f"FunctionUrl={parameters['FunctionUrl']}, as it was told."
    has = has_function_urls(region)
    if has:
        return {}, ""
    if has is None:
        question = f"It is not known whether {region} has Lambda function URLs. Does it?"
        return (
            ({"FunctionUrl": "true"}, "")
            if agree(question)
            else ({"FunctionUrl": "false"}, _without(region))
        )
    return {"FunctionUrl": "false"}, _without(region)


def user_names(
    parameters: Mapping[str, str], pool: Mapping[str, Any]
) -> tuple[dict[str, str], str]:
    """Keep the case of user names in a pool that was made with it:

    Cognito refuses to change that later.

    ``pool``: as Cognito describes it, {} for none. A pool that says nothing is case-sensitive:
    https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UsernameConfigurationType.html
    """
    if CASE in parameters:
        return {}, f"{CASE}={parameters[CASE]}, as it was told."
    if not pool or not pool.get("UsernameConfiguration", {}).get("CaseSensitive", True):
        return {}, ""
    return {
        CASE: "true"
    }, f"{CASE}=true: the pool of this stack was made so, and Cognito cannot change it."


def _without(region: str) -> str:
    return f"FunctionUrl=false in {region}: Stripe delivers to API Gateway alone."
