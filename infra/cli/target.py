"""Defines the stack that a command works on: its tables, addresses, settings and clients."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from billing.books import Books, NoOutbox
from billing.clock import Clock, utc_now
from billing.deadline import Deadline
from billing.deployment import StoredDeployment
from billing.settings import Ours, Settings
from billing.storage.dynamodb import Store
from billing.stripe_api.client import Gateway
from billing.wiring.container import top_ups
from botocore.config import Config

from infra.cli.stripe.addresses import OUTPUT_URLS, same_url
from infra.local.function_clock.sitecustomize import moved
from infra.local.paths import Paths

CLIENT: Final = Config(
    connect_timeout=3,
    read_timeout=20,
    retries={"total_max_attempts": 4, "mode": "standard"},
    max_pool_connections=32,
)
TABLE: Final = "AWS::DynamoDB::Table"
WEBHOOK_PATH: Final = "/api/v1/payments/webhook"


@dataclass(frozen=True, slots=True)
class Resource:
    """The physical id and the type of one of the stack's resources, as CloudFormation has them."""

    physical_id: str
    type: str


@dataclass(frozen=True, slots=True)
class TargetStack:
    """The stack that a command works on.

    ``endpoint`` is the address of the AWS emulator on a local stack, or None for AWS itself.
    ``webhook_url`` is where the webhook for Stripe is called, and ``other_urls`` are further
    addresses of the webhook's function; the local stack has none. ``log_group`` is the webhook's
    log group, which in AWS all functions share. ``made_epoch`` is when the stack was created.
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
    """The template's TableSuffix: the end of the names of the tables in use. "" for the stack's
    own tables.
    """

    def at(self, url: str) -> "TargetStack":
        """Return a copy of the target with ``url`` as the address of the webhook for Stripe.

        The former address is added to ``other_urls``. With ``url`` "", the target itself is
        returned.
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
        """Return the physical names of all resources of one type, by logical id."""
        return {
            logical: found.physical_id
            for logical, found in self.resources.items()
            if found.type == name
        }

    def own_tables(self) -> dict[str, str]:
        """Return the names of the tables that the stack created, by logical id.

        After ``topup switch`` the functions may use restored tables instead.
        """
        return self.of_type(TABLE)

    def tables(self) -> dict[str, str]:
        """Return the names of the tables in use, by logical id.

        They are the stack's own, or restored ones after ``topup switch``.
        """
        return {logical: f"{name}{self.suffix}" for logical, name in self.own_tables().items()}

    def using(self, suffix: str) -> "TargetStack":
        """Return a copy of the target that uses the tables with this suffix.

        Nothing is changed in AWS.
        """
        tables = self.settings.tables
        others = {table: name.removesuffix(self.suffix) + suffix for table, name in tables.items()}
        return replace(self, suffix=suffix, settings=replace(self.settings, tables=others))

    def options(self) -> str:
        """Return the command line options for this target, with a leading space.

        "" if it is local.
        """
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
        """Return a client of the stack's books: its tables with accounts, payments and events.

        The client has no queue. The webhook puts an event that it cannot settle into a queue and
        into a table (it "parks" the event). A command writes it into the table only.
        """
        store = Store(self.settings.tables, Deadline(), self.region, self.endpoint)
        ours = Ours(self.settings.livemode, StoredDeployment(store))
        policy, telling = self.settings.reversal_policy, self.settings.telling
        charges = top_ups(self.settings)
        return Books(store, self._clock(), ours, policy, NoOutbox(), telling, charges)

    def _clock(self) -> Clock:
        """Return the stack's clock.

        Tests can move a local stack's clock. A command then uses the same time as the functions.
        """
        if self.endpoint is None:
            return utc_now
        return moved(utc_now, Paths.from_environment().clock_file)

    def gateway(self, books: Books) -> Gateway:
        """Return a client of Stripe, with the stack's secret key.

        All calls of it and of ``books`` (the client of the tables) share one deadline.
        """
        return Gateway(
            lambda _: self.stripe_key(), self.settings.stripe_api_base, books.store.deadline
        )

    def stripe_key(self) -> str:
        """Return Stripe's secret key as it is stored now."""
        return self.secret(self.settings.stripe_key_secret).strip()

    def secret(self, name: str) -> str:
        """Return the value of a secret in Secrets Manager. ``name`` is its name or ARN."""
        return str(self.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])
