"""Finds the stack that a command works on: the local stack, or one in AWS.

Everything else is read from the stack's own resources.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import boto3
from billing.books import Books, NoOutbox
from billing.clock import utc_now
from billing.deadline import Deadline
from billing.deployment import StoredDeployment
from billing.errors import SettingsError
from billing.settings import Ours, Settings
from billing.storage.dynamodb import Store
from billing.stripe_api.client import Gateway
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.cli.errors import FOUND_SOMETHING, OperatorError, unreachable, usage
from infra.cli.stripe.addresses import OUTPUT_URLS, addresses, same_url
from infra.deploy.choices import SUFFIX
from infra.deploy.stage import CREDENTIALS
from infra.local.paths import Paths

CLIENT: Final = Config(
    connect_timeout=3,
    read_timeout=20,
    retries={"total_max_attempts": 4, "mode": "standard"},
    max_pool_connections=32,
)
SETTINGS_SOURCE: Final = "WebhookFunction"
"""The function whose environment has the stack's settings. All functions share them."""
TABLE: Final = "AWS::DynamoDB::Table"
WEBHOOK_PATH: Final = "/api/v1/payments/webhook"


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the stack."""

    physical_id: str
    type: str


@dataclass(frozen=True, slots=True)
class TargetStack:
    """One stack.

    ``endpoint`` is the address of the embedded AWS, or None for AWS itself. ``webhook_url`` is
    where a delivery can be tried. ``other_urls`` are further addresses of the same function; the
    local stack has none. ``log_group`` is the webhook's, in AWS all functions'. ``made_epoch`` is
    when the stack was made.
    """

    session: Any
    endpoint: str | None
    region: str
    stack_name: str
    resources: Mapping[str, Resource]
    outputs: Mapping[str, str]
    settings: Settings
    webhook_url: str
    log_group: str
    made_epoch: int
    other_urls: tuple[str, ...] = ()
    suffix: str = ""
    """The template's TableSuffix: how the names of the tables in use end. "" for the stack's own
    tables."""

    def at(self, url: str) -> "TargetStack":
        """Return the target with another address for Stripe. "" changes nothing.

        The former address becomes one of the others.
        """
        if not url:
            return self
        others = tuple(
            other
            for other in (self.webhook_url, *self.other_urls)
            if other and not same_url(other, url)
        )
        return replace(self, webhook_url=url, other_urls=others)

    def client(self, service: str) -> Any:
        """Return a boto3 client for this target."""
        return self.session.client(
            service, endpoint_url=self.endpoint, region_name=self.region, config=CLIENT
        )

    def of_type(self, name: str) -> dict[str, str]:
        """Return physical names by logical id, of one type of resource."""
        return {
            logical: found.physical_id
            for logical, found in self.resources.items()
            if found.type == name
        }

    def own_tables(self) -> dict[str, str]:
        """Return the tables that the stack made, by logical id, even if others are in use."""
        return self.of_type(TABLE)

    def tables(self) -> dict[str, str]:
        """Return the tables in use, by logical id. After a restore they are not the stack's own."""
        return {logical: f"{name}{self.suffix}" for logical, name in self.own_tables().items()}

    def using(self, suffix: str) -> "TargetStack":
        """Return the target with other tables. Nothing changes in AWS."""
        tables = self.settings.tables
        others = {table: name.removesuffix(self.suffix) + suffix for table, name in tables.items()}
        return replace(self, suffix=suffix, settings=replace(self.settings, tables=others))

    def options(self) -> str:
        """Return the options for the same target, with a leading space. "" for the local stack."""
        if self.endpoint is not None:
            return ""
        named = self.session.profile_name
        profile = "" if named == "default" else f" --profile {named}"
        return f" --stack {self.stack_name} --region {self.region}{profile}"

    def log_groups(self) -> set[str]:
        """Return the functions' log groups: one shared, or one for each in the local stack."""
        own = {f"/aws/lambda/{name}" for name in self.of_type("AWS::Lambda::Function").values()}
        return own if self.log_group in own else {self.log_group}

    def webhook_urls(self) -> set[str]:
        """Return every known address of this stack's webhook, without a trailing slash."""
        site = f"{self.settings.site_url}{WEBHOOK_PATH}" if self.settings.site_url else ""
        known = {self.webhook_url, site, *(self.outputs.get(name, "") for name in OUTPUT_URLS)}
        return {url.rstrip("/") for url in known if url}

    def books(self) -> Books:
        """Return the books. Parked events are stored in the table alone, not in a queue."""
        store = Store(self.settings.tables, Deadline(), self.region, self.endpoint)
        ours = Ours(self.settings.livemode, StoredDeployment(store))
        return Books(store, utc_now, ours, self.settings.reversal_policy, NoOutbox())

    def gateway(self, books: Books) -> Gateway:
        """Return the Stripe client, with the stack's own key and the deadline of ``books``."""
        return Gateway(
            lambda _: self.stripe_key(), self.settings.stripe_api_base, books.store.deadline
        )

    def stripe_key(self) -> str:
        """Return the secret key as it is stored now."""
        return self.secret(self.settings.stripe_key_secret).strip()

    def secret(self, name: str) -> str:
        """Return a secret's value."""
        return str(self.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])


def find(stack: str, profile: str, region: str) -> TargetStack:
    """Return the target stack. ``stack`` "" is the local stack.

    Raises OperatorError that says what to give.
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
    """Set test credentials in this process's environment, where the clients read them."""
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
    """Return the configuration of the function that is read for all."""
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
    """Return the functions' own settings, so that a command follows the same rules."""
    try:
        return Settings.from_environment(function["Environment"]["Variables"])
    except SettingsError as error:
        message = f"{SETTINGS_SOURCE}: {error}"
        raise OperatorError(FOUND_SOMETHING, message, "deploy the template again") from error
