"""Runs the product's handlers in this process, over a real DynamoDB API and the Stripe simulator.

Every request of both clients is counted.
"""

import importlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from billing.books import Books
from billing.settings import TABLE_VARIABLES
from billing.wiring import container
from functional.lab import Context, forget
from simulator.lab import Lab as Stripe
from simulator.lab import Receiver
from simulator.lab import lab as simulated
from stripe import WebhookSignature
from support.dynamo import Dynamo, dynoxide

from bench import subjects
from bench.quiet import quiet
from bench.wire import Tap, tapped


@dataclass
class Stage:
    """What a run acts on."""

    tap: Tap
    dynamo: Dynamo
    stripe: Stripe
    called: set[str] = field(default_factory=set)
    """Routes that were called, as the template writes them."""

    @property
    def books(self) -> Books:
        """The handlers' own."""
        return container.books()

    @contextmanager
    def watching(self, low_at: int) -> Iterator[None]:
        """A deployment with events out and automatic top-ups, for as long as this lasts."""
        more = {
            "NOTIFY_URL": "https://events.example.com/",
            "LOW_AT_UNITS": str(low_at),
            "AUTO_TOP_UP": "true",
        }
        os.environ.update(more)
        forget(clients=True)
        yield
        for name in more:
            del os.environ[name]
        forget(clients=True)

    def call(
        self,
        method: str,
        path: str,
        sub: str = "",
        body: object = None,
        query: Mapping[str, str] | None = None,
        **headers: str,
    ) -> dict[str, Any]:
        """One call through API Gateway. Fails unless it is answered with 2xx."""
        text = None if body is None else json.dumps(body)
        event = subjects.call(
            method,
            path,
            sub=sub,
            body=text,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )
        return self.handle({**event, "queryStringParameters": dict(query or {})})

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The same with an event that is made already."""
        module = subjects.handler_of(event)
        self.called.add(event["routeKey"])
        answer = importlib.import_module(module).handler(event, Context())
        assert answer["statusCode"] < 300, answer
        is_json = answer["headers"].get("content-type") == "application/json"
        found: dict[str, Any] = json.loads(answer["body"]) if is_json else {}
        return found

    def deliver(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """As Stripe delivers it."""
        return self.handle(self.delivery(event))

    @staticmethod
    def delivery(event: Mapping[str, Any]) -> dict[str, Any]:
        """A delivery as API Gateway passes it: Stripe's text, signed now."""
        text = json.dumps(event, indent=2)
        signature = WebhookSignature.generate_signature_header(
            text, subjects.SECRET, int(time.time())
        )
        return subjects.call(
            "POST", "/payments/webhook", body=text, headers={"stripe-signature": signature}
        )

    def authorize(self, key: str) -> None:
        """A call of the seller's own API, as its gateway asks about it."""
        answer = importlib.import_module("authorize").handler(
            {"headers": {"x-api-key": key}}, Context()
        )
        assert answer["isAuthorized"], answer

    def hold(self, sub: str, units: int = 10, seconds: int = 600) -> str:
        """A hold's id."""
        body = {"user_id": sub, "units": units, "expires_in_seconds": seconds}
        return str(self.call("POST", "/quota/holds", "backend", body)["hold_id"])

    def capture(self, hold_id: str, units: int = 4) -> None:
        """Take units of a hold, and give the rest back."""
        self.call("POST", f"/quota/holds/{hold_id}/capture", "backend", {"units": units})

    def debit(self, sub: str, key: str = "") -> None:
        """One unit, under an idempotency key where there is one."""
        headers = {"idempotency_key": key} if key else {}
        self.call("POST", "/quota/debits", "backend", {"user_id": sub, "units": 1}, None, **headers)

    def bought(self, sub: str, plan: str = "starter") -> dict[str, Any]:
        """A checkout that the buyer has paid; Stripe's event about it, not delivered yet."""
        session_id = self.call("POST", "/payments/checkout", sub, {"plan": plan})["session_id"]
        self.stripe.control(f"sessions/{session_id}/pay", method="card")
        return self.event("checkout.session.completed")

    def event(self, kind: str) -> dict[str, Any]:
        """The newest of a type."""
        found: dict[str, Any] = (
            self.stripe.client.v1.events.list({"type": kind, "limit": 1}).data[0].to_dict()
        )
        return found


@contextmanager
def stage() -> Iterator[Stage]:
    """On dynoxide, which keeps its tables on disk."""
    with (
        tapped() as tap,
        dynoxide() as dynamo,
        simulated(Receiver(url="http://127.0.0.1:9/")) as stripe,
    ):
        stripe.control("deliveries", drop=1)
        tables = dynamo.new_tables()
        names = {variable: tables[table] for table, variable in TABLE_VARIABLES.items()}
        doors = {"AWS_ENDPOINT_URL_DYNAMODB": dynamo.url, "STRIPE_API_BASE": stripe.url}
        with quiet({**subjects.ENVIRONMENT, **names, **doors}):
            forget(clients=True)
            yield Stage(tap, dynamo, stripe)
            forget(clients=True)
