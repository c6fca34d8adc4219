"""Finds the stack that a command works on: the local stack, or one in AWS by its resources."""

import json
import os
from collections.abc import Mapping
from typing import Any, Final

import boto3
from billing.errors import SettingsError
from billing.settings import Settings
from botocore.exceptions import ClientError

from infra.cli.errors import FOUND_SOMETHING, OperatorError, unreachable, usage
from infra.cli.stripe.addresses import addresses
from infra.cli.target import CLIENT, Resource, TargetStack
from infra.deploy.choices import SUFFIX
from infra.deploy.stage import CREDENTIALS
from infra.local.paths import Paths

SETTINGS_SOURCE: Final = "WebhookFunction"
"""The function whose environment has the stack's settings. All functions share them."""


def find_target(stack: str, profile: str, region: str) -> TargetStack:
    """Return the target stack. ``stack`` "" is the local stack.

    Raises OperatorError if there is no such stack. The error says which option to give.
    """
    if not stack and (profile or region):
        raise usage("--profile and --region are for a stack in AWS", "name it with --stack NAME")
    local = _local_stack()
    if local and stack in ("", local["stack_name"]):
        return _find_local(local)
    if not stack:
        repair = "start one with `make up`, or name a stack in AWS with --stack NAME"
        raise usage("no local stack is running here", repair)
    if profile:
        _unset(*CREDENTIALS)
        os.environ["AWS_PROFILE"] = profile
    chosen = region or boto3.Session().region_name
    if not chosen:
        raise usage("no region is set", "add --region, or set AWS_REGION")
    return _read_stack(None, str(chosen), stack, "")


def _find_local(local: Mapping[str, str]) -> TargetStack:
    """Return the local stack. ``local`` is the content of stand.json, which it wrote.

    Test credentials are set in this process's environment, where boto3's clients read them.
    """
    _unset("AWS_PROFILE", *CREDENTIALS)
    os.environ["AWS_ACCESS_KEY_ID"] = "test"
    os.environ["AWS_SECRET_ACCESS_KEY"] = "test"  # noqa: S105 - the embedded AWS accepts any
    os.environ["AWS_REGION"] = local["aws_region"]
    endpoint, region = local["aws_endpoint_url"], local["aws_region"]
    return _read_stack(endpoint, region, local["stack_name"], local["webhook_url"])


def _local_stack() -> dict[str, str] | None:
    file = Paths.from_environment().stand_file
    if not file.exists():
        return None
    found: dict[str, str] = json.loads(file.read_text())
    return found


def _unset(*names: str) -> None:
    for name in names:
        os.environ.pop(name, None)


def _read_stack(endpoint: str | None, region: str, stack: str, webhook_url: str) -> TargetStack:
    session = boto3.Session(region_name=region)
    cloudformation = session.client("cloudformation", endpoint_url=endpoint, config=CLIENT)
    try:
        description = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        resources = _resources(cloudformation, stack)
    except ClientError as error:
        message = f"the stack {stack} cannot be described: {error}"
        raise unreachable(message, "check --stack, --region and --profile") from error
    outputs = {row["OutputKey"]: row["OutputValue"] for row in description.get("Outputs", [])}
    url, others = addresses(outputs, webhook_url)
    functions = session.client("lambda", endpoint_url=endpoint, config=CLIENT)
    function = _function_configuration(functions, stack, resources)
    return TargetStack(
        session,
        endpoint,
        region,
        stack,
        resources,
        outputs,
        _settings(function),
        url,
        function["LoggingConfig"]["LogGroup"],
        int(description["CreationTime"].timestamp()),
        others,
        _parameter(description, SUFFIX),
    )


def _resources(cloudformation: Any, stack: str) -> dict[str, Resource]:
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    rows = [row for page in pages for row in page["StackResourceSummaries"]]
    return {
        row["LogicalResourceId"]: Resource(row.get("PhysicalResourceId", ""), row["ResourceType"])
        for row in rows
    }


def _parameter(description: Mapping[str, Any], name: str) -> str:
    """Return a parameter of the stack, or "" where the stack has none of that name."""
    rows = description.get("Parameters", [])
    values = {row["ParameterKey"]: row["ParameterValue"] for row in rows}
    return str(values.get(name, ""))


def _function_configuration(
    functions: Any, stack: str, resources: Mapping[str, Resource]
) -> dict[str, Any]:
    """Return Lambda's configuration of the webhook's function, SETTINGS_SOURCE.

    Its environment has the stack's settings. Raises OperatorError if the stack does not have that
    function, or if it cannot be read.
    """
    if SETTINGS_SOURCE not in resources:
        message = f"the stack {stack} has no {SETTINGS_SOURCE}"
        repair = "name a stack that was made from Topup's template"
        raise OperatorError(FOUND_SOMETHING, message, repair)
    name = resources[SETTINGS_SOURCE].physical_id
    try:
        found: dict[str, Any] = functions.get_function_configuration(FunctionName=name)
    except ClientError as error:
        message = f"{SETTINGS_SOURCE} cannot be read: {error}"
        raise unreachable(message, "you need lambda:GetFunctionConfiguration") from error
    return found


def _settings(function: Mapping[str, Any]) -> Settings:
    """Return the stack's settings, from the environment variables of one of its functions.

    ``function`` is that Lambda function's configuration. The commands use the same settings.
    Raises OperatorError if they are invalid.
    """
    try:
        return Settings.from_environment(function["Environment"]["Variables"])
    except SettingsError as error:
        message = f"{SETTINGS_SOURCE}: {error}"
        raise OperatorError(FOUND_SOMETHING, message, "deploy the template again") from error
