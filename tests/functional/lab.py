"""The product's handlers in this process, called as API Gateway calls them, over moto.

One thread only: moto bears no more.
"""

import base64
import copy
import importlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

import boto3
from billing import deployment
from billing.books import Books
from billing.payments import fact_queue
from billing.spending import memory
from billing.wiring import container, queue, stripe
from billing.wiring import secrets as vault
from functional.template import Route, Template
from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from stripe import WebhookSignature
from support import described
from support.builders import DEPLOYMENT, STACK

REGION: Final = "us-east-1"
API: Final = "/api/v1"
SITE: Final = "https://shop.example.com"
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
}
CACHES: Final = (container.settings, container.books, queue.receiving_books, stripe.gateway)
_made: Final[dict[str, list[Any]]] = {}
"""Moto's tables and secrets as they were made, by Stripe's key."""
CLIENTS: Final = (container.store, container.deadline, vault._provider, fact_queue._client)


def forget(*, clients: bool = False) -> None:
    """A new container: nothing is remembered from earlier requests.

    ``clients``: connections neither; making them is slow.
    """
    for cached in (*CACHES, *(CLIENTS if clients else ())):
        cached.cache_clear()
    vault._rereads.cache_clear()
    if not clients:
        vault._provider().store.clear()
    memory._seen.clear()


@dataclass(slots=True)
class Said:
    """A handler's answer, as API Gateway would pass it on."""

    raw: dict[str, Any]

    @property
    def status(self) -> int:
        """API Gateway takes an answer without one for a 200: never here."""
        status = self.raw["statusCode"]
        assert type(status) is int, self.raw
        return status

    @property
    def json(self) -> dict[str, Any]:
        """The body."""
        found: dict[str, Any] = json.loads(self.raw["body"])
        return found

    @property
    def code(self) -> str:
        """A problem's stable code; its form is checked on the way."""
        problem = self.json
        assert self.raw["headers"]["content-type"] == "application/problem+json"
        assert problem["status"] == self.status
        assert problem["request_id"] == self.raw["headers"]["x-request-id"]
        code: str = problem["code"]
        return code


@dataclass(slots=True)
class Lab:
    """The stack in moto, and the ways to call it."""

    stripe_base: str
    template: Template = field(init=False)
    secret: str = f"whsec_{secrets.token_hex(12)}"

    def make(self, stripe_key: str, *, anew: bool = False) -> None:
        """Tables, queues and secrets from template.yaml, on an empty moto.

        ``anew``: by the APIs, of which not all need be moto's.
        """
        self.template = Template(
            STACK,
            REGION,
            Stage="local",
            StripeApiBase=self.stripe_base,
            SiteUrl=SITE,
            JwtIssuer="http://127.0.0.1:9",
            JwtAudience="topup",
        )
        if anew or stripe_key not in _made:
            self._create(stripe_key)
        if not anew:
            self._copy(stripe_key)
        for name in self.template.of_type("AWS::SQS::Queue"):
            _backend("sqs").create_queue(
                name
            )  # by its API it would be half of what is left to do here
            self.template.name(
                name, f"https://sqs.{REGION}.amazonaws.com/{DEFAULT_ACCOUNT_ID}/{name}"
            )

    def _copy(self, stripe_key: str) -> None:
        """What the APIs made once for the whole process: it was two thirds of the time of every
        test.
        """
        now = [_backend("dynamodb").tables, _backend("secretsmanager").secrets]
        made = copy.deepcopy(_made.setdefault(stripe_key, copy.deepcopy(now)))
        for place, content in zip(now, made, strict=True):
            place.update(content)

    def _create(self, stripe_key: str) -> None:
        """As a deployment does, and the operator after the first one."""
        for table in self.template.tables():
            self.boto("dynamodb").create_table(**table)
        for name in self.template.of_type("AWS::SecretsManager::Secret"):
            self.boto("secretsmanager").create_secret(Name=name, SecretString="{}")
        for place, names in (
            ("PaymentsTable", ("owner", "id")),
            ("WebhookEventsTable", ("subject", "fact_id")),
        ):
            members = zip((*names, "deployment"), (*deployment.KEY, DEPLOYMENT), strict=True)
            self.boto("dynamodb").put_item(
                TableName=place, Item={name: {"S": value} for name, value in members}
            )
        self.put_secret("StripeKeySecret", stripe_key)
        self.put_secrets(self.secret)

    def boto(self, service: str) -> Any:
        """A client of moto, one for the whole process."""
        return client(service)

    def put_secret(self, logical_id: str, value: str) -> None:
        """What an operator does after the first deploy."""
        self.boto("secretsmanager").put_secret_value(SecretId=logical_id, SecretString=value)

    def put_secrets(self, *values: str) -> None:
        """The endpoint's signing secrets."""
        self.put_secret("WebhookSecretsSecret", json.dumps({"secrets": values}))

    @property
    def books(self) -> Books:
        """The handlers' own, with a new deadline: the last request may be long ago."""
        container.deadline().begin()
        return container.books()

    def route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The template's route for a call."""
        for route in self.template.routes():
            if (parameters := route.match(method, path)) is not None:
                return route, parameters
        raise AssertionError(f"no route {method} {path}")

    def call(
        self,
        method: str,
        path: str,
        *,
        sub: Any = None,
        scope: str = "",
        body: Any = None,
        raw: str | None = None,
        query: Mapping[str, str] | None = None,
        **headers: str,
    ) -> Said:
        """One call through API Gateway, payload format 2.0.

        Underscores in header names become dashes.
        """
        route, parameters = self.route(method, API + path)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        claims = {} if sub is None else {"sub": sub, "scope": scope}
        text = raw if raw is not None else None if body is None else json.dumps(body)
        event = gateway_event(route, API + path, parameters, sent, text)
        event["queryStringParameters"] = dict(query or {})
        if route.has_authorizer:
            event["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
        said = self.invoke(route.handler, event)
        described.check(method, API + path, said.status, said.raw["headers"], said.raw["body"])
        return said

    def invoke(self, module: str, event: Any) -> Said:
        """Call a handler with any event."""
        return Said(importlib.import_module(module).handler(event, Context()))

    def ask(self, module: str, event: Any) -> Any:
        """The same for what is no HTTP answer."""
        return importlib.import_module(module).handler(event, Context())

    def webhook(self, content: bytes | str, signature: str | None = None, **members: Any) -> Said:
        """Deliver a body as Stripe does; signed now with our secret unless a header is given."""
        raw = content.encode() if isinstance(content, str) else content
        header = self.sign(raw) if signature is None else signature
        route, parameters = self.route("POST", f"{API}/payments/webhook")
        event = gateway_event(route, route.path, parameters, {"stripe-signature": header}, None)
        event |= {"body": base64.b64encode(raw).decode(), "isBase64Encoded": True} | members
        return self.invoke("webhook", event)

    def deliver(self, event: Mapping[str, Any]) -> Said:
        """Deliver an event."""
        return self.webhook(json.dumps(event))

    def sign(self, body: bytes, *, secret: str = "", at: int | None = None) -> str:
        """Stripe's header for a UTF-8 body."""
        made: str = WebhookSignature.generate_signature_header(
            body.decode(), secret or self.secret, at or int(time.time())
        )
        return made

    def fund(self, user_id: str, units: int) -> None:
        """Units without a purchase, for tests of spending."""
        item = {
            "user_id": {"S": user_id},
            "item": {"S": "quota"},
            "remaining": {"N": str(units)},
            "total": {"N": str(units)},
        }
        self.boto("dynamodb").put_item(TableName="QuotasTable", Item=item)

    def quota(self, user_id: str) -> dict[str, Any]:
        """What ``GET /quota`` says, without the time."""
        said = self.call("GET", "/quota", sub=user_id)
        assert said.status == 200, said
        return {name: value for name, value in said.json.items() if name != "updated_at"}

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All items of a table but the deployment's own, as DynamoDB spells them."""
        found: list[dict[str, Any]] = self.boto("dynamodb").scan(TableName=table)["Items"]
        return [row for row in found if "deployment" not in row]

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """All items of all tables: equal before and after means that nothing has changed."""
        return {
            table["TableName"]: self.rows(table["TableName"]) for table in self.template.tables()
        }


@cache
def client(service: str) -> Any:
    """One for the whole process: moto finds it again.

    Not of boto3's common session, which keeps the credentials that it saw first.
    """
    return boto3.Session(region_name=REGION).client(service)


def wipe() -> None:
    """An empty AWS."""
    for service in ("dynamodb", "sqs", "secretsmanager"):
        get_backend(service).reset()


def _backend(service: Literal["dynamodb", "secretsmanager", "sqs"]) -> Any:
    return get_backend(service)[DEFAULT_ACCOUNT_ID][REGION]


class Context:
    """Lambda's second argument, as far as it is looked at."""

    aws_request_id = "8f507cfc-xmpl-4697-b07a-ac58fc914c95"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Plenty."""
        return 200_000


def gateway_event(
    route: Route,
    path: str,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    body: str | None,
) -> dict[str, Any]:
    """Payload format 2.0.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    key = f"{route.method} {route.path}"
    http = {
        "method": route.method,
        "path": path,
        "protocol": "HTTP/1.1",
        "sourceIp": "192.0.2.1",
        "userAgent": "test",
    }
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": key,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {name.lower(): value for name, value in headers.items()},
        "requestContext": {
            "domainName": "api.example.com",
            "http": http,
            "requestId": "req-1",
            "routeKey": key,
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    if parameters:
        event["pathParameters"] = dict(parameters)
    return event if body is None else {**event, "body": body}
