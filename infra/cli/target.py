"""Where a command works: a stack in AWS, or the stand that is up.

Everything else is found from the stack's own resources.
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

from infra.cli.errors import OperatorError, unreachable, usage
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
ASKED_OF: Final = "WebhookFunction"
"""The function whose environment says how the stack is set; all functions share it."""
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

    ``endpoint`` is the stand's AWS, None for AWS itself; ``webhook_url`` is where a delivery can be
    tried.

    ``other_urls``: where the same function answers too; on a stand nobody can resolve AWS's names,
    so that it has none. ``log_group`` is that of the webhook, in AWS of all functions;
    ``made_epoch`` is when the stack was made.
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
    """What the names of the tables in use end with: the template's TableSuffix, "" for the tables
    that the stack made."""

    def at(self, url: str) -> "TargetStack":
        """With another address for Stripe; "" changes nothing. The former one is still looked at."""
        if not url:
            return self
        others = tuple(
            other
            for other in (self.webhook_url, *self.other_urls)
            if other and not same_url(other, url)
        )
        return replace(self, webhook_url=url, other_urls=others)

    def client(self, service: str) -> Any:
        """A boto3 client of this target."""
        return self.session.client(
            service, endpoint_url=self.endpoint, region_name=self.region, config=CLIENT
        )

    def of_type(self, name: str) -> dict[str, str]:
        """Physical names by logical id, of one type of resource."""
        return {
            logical: found.physical_id
            for logical, found in self.resources.items()
            if found.type == name
        }

    def own_tables(self) -> dict[str, str]:
        """The tables that the stack made, by logical id.

        CloudFormation keeps to them, whichever are in use.
        """
        return self.of_type(TABLE)

    def tables(self) -> dict[str, str]:
        """The tables in use, by logical id: after a restore other ones than the stack made."""
        return {logical: f"{name}{self.suffix}" for logical, name in self.own_tables().items()}

    def using(self, suffix: str) -> "TargetStack":
        """The same with other tables; nothing changes in AWS."""
        tables = self.settings.tables
        others = {table: name.removesuffix(self.suffix) + suffix for table, name in tables.items()}
        return replace(self, suffix=suffix, settings=replace(self.settings, tables=others))

    def where(self) -> str:
        """Options by which another command finds the same target, with a space before them; "" on a stand."""
        if self.endpoint is not None:
            return ""
        named = self.session.profile_name
        profile = "" if named == "default" else f" --profile {named}"
        return f" --stack {self.stack_name} --region {self.region}{profile}"

    def log_groups(self) -> set[str]:
        """Where its functions write: all into one group, or, on a stand, each into its own."""
        own = {f"/aws/lambda/{name}" for name in self.of_type("AWS::Lambda::Function").values()}
        return own if self.log_group in own else {self.log_group}

    def webhook_urls(self) -> set[str]:
        """Every address at which this stack's webhook is known to answer, without a slash at the end."""
        site = f"{self.settings.site_url}{WEBHOOK_PATH}" if self.settings.site_url else ""
        known = {self.webhook_url, site, *(self.outputs.get(name, "") for name in OUTPUT_URLS)}
        return {url.rstrip("/") for url in known if url}

    def books(self) -> Books:
        """What the product's acts work on; facts that they park are kept in the table alone."""
        store = Store(self.settings.tables, Deadline(), self.region, self.endpoint)
        ours = Ours(self.settings.livemode, StoredDeployment(store))
        return Books(store, utc_now, ours, self.settings.reversal_policy, NoOutbox())

    def gateway(self, books: Books) -> Gateway:
        """Stripe, with the stack's own key and the deadline of ``books``."""
        return Gateway(
            lambda _: self.stripe_key(), self.settings.stripe_api_base, books.store.deadline
        )

    def stripe_key(self) -> str:
        """The secret key, as it is stored now."""
        return self.secret(self.settings.stripe_key_secret).strip()

    def secret(self, name: str) -> str:
        """A secret's value."""
        return str(self.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])


def find(stack: str, profile: str, region: str) -> TargetStack:
    """``stack`` "" means the stand that is up. Raises OperatorError saying what to give."""
    if not stack and (profile or region):
        raise usage("--profile and --region are for a stack in AWS", "name it with --stack NAME")
    stand = _stand()
    if stand and stack in ("", stand["stack_name"]):
        _leave("AWS_PROFILE", *CREDENTIALS)
        _enter(
            {
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": stand["aws_region"],
            }
        )
        return _described(
            stand["aws_endpoint_url"],
            stand["aws_region"],
            stand["stack_name"],
            stand["webhook_url"],
        )
    if not stack:
        raise usage(
            "no stand is up here",
            "start one with `make up`, or name a stack in AWS with --stack NAME",
        )
    if profile:
        _leave(*CREDENTIALS)
        _enter({"AWS_PROFILE": profile})
    chosen = region or boto3.Session().region_name
    if not chosen:
        raise usage("no region is set", "add --region, or set AWS_REGION")
    return _described(None, str(chosen), stack, "")


def _stand() -> dict[str, str] | None:
    file = Paths.from_environment().stand_file
    if not file.exists():
        return None
    found: dict[str, str] = json.loads(file.read_text())
    return found


def _leave(*names: str) -> None:
    for name in names:
        os.environ.pop(name, None)


def _enter(environment: Mapping[str, str]) -> None:
    """Credentials go into this process's environment: the product's own doors read them there, as they do in Lambda."""
    os.environ.update(environment)


def _described(endpoint: str | None, region: str, stack: str, webhook_url: str) -> TargetStack:
    session = boto3.Session(region_name=region)
    cloudformation = session.client("cloudformation", endpoint_url=endpoint, config=CLIENT)
    try:
        told = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        resources = {
            row["LogicalResourceId"]: Resource(
                row.get("PhysicalResourceId", ""), row["ResourceType"]
            )
            for page in pages
            for row in page["StackResourceSummaries"]
        }
    except ClientError as error:
        raise unreachable(
            f"the stack {stack} cannot be described: {error}",
            "check --stack, --region and --profile",
        ) from error
    outputs = {row["OutputKey"]: row["OutputValue"] for row in told.get("Outputs", [])}
    url, others = addresses(outputs, webhook_url)
    function = _asked(
        session.client("lambda", endpoint_url=endpoint, config=CLIENT), stack, resources
    )
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
        int(told["CreationTime"].timestamp()),
        others,
        next(
            (
                row["ParameterValue"]
                for row in told.get("Parameters", [])
                if row["ParameterKey"] == SUFFIX
            ),
            "",
        ),
    )


def _asked(functions: Any, stack: str, resources: Mapping[str, Resource]) -> dict[str, Any]:
    """How the function is configured that is asked for all of them."""
    if ASKED_OF not in resources:
        raise OperatorError(
            1,
            f"the stack {stack} has no {ASKED_OF}",
            "name a stack that was made from Topup's template",
        )
    try:
        found: dict[str, Any] = functions.get_function_configuration(
            FunctionName=resources[ASKED_OF].physical_id
        )
    except ClientError as error:
        raise unreachable(
            f"{ASKED_OF} cannot be read: {error}", "you need lambda:GetFunctionConfiguration"
        ) from error
    return found


def _settings(function: Mapping[str, Any]) -> Settings:
    """What the functions themselves read, so that a command cannot work by other rules than they do."""
    try:
        return Settings.from_environment(function["Environment"]["Variables"])
    except SettingsError as error:
        raise OperatorError(1, f"{ASKED_OF}: {error}", "deploy the template anew") from error
