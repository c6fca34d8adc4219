"""Makes the bench's input: events in API Gateway's format, as large as real ones."""

import json
from collections.abc import Mapping
from itertools import product
from typing import Any, Final

from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from functional.lab import API, CREDENTIALS, REGION, SITE, gateway_event
from functional.template import Route, Template
from support import builders

from infra.stripe_simulator.objects import attributes, checkout

TEMPLATE: Final = Template(
    builders.STACK,
    REGION,
    Stage="local",
    SiteUrl=SITE,
    JwtIssuer="http://127.0.0.1:9",
    JwtAudience="topup",
)
ENVIRONMENT: Final = {**TEMPLATE.environment(), **CREDENTIALS}
SECRET: Final = "whsec_of_the_bench"


def paid_session(payment: Payment) -> dict[str, Any]:
    """A Checkout Session with every key that Stripe's have."""
    nulls = dict.fromkeys(attributes.SESSION_NULLS)
    details = {
        "customer_details": checkout.customer_details(),
        "url": None,
        "success_url": f"{SITE}/?session_id={{CHECKOUT_SESSION_ID}}",
    }
    return {**nulls, **checkout.default_settings(), **details, **builders.session(payment)}


def paid_event(user_id: str = "alice", number: int = 1) -> dict[str, Any]:
    """A delivery of ``checkout.session.completed``; the signature is made when it is sent."""
    payment = Payment.of(
        catalogue()["starter"], f"pay_{number:026d}", user_id, "2026-01-02T03:04:05Z"
    )
    event = builders.event(
        "checkout.session.completed", paid_session(payment_with_session(payment, number))
    )
    return call(
        "POST",
        "/payments/webhook",
        body=json.dumps(event, indent=2),
        headers={"stripe-signature": ""},
    )


def payment_with_session(payment: Payment, number: int) -> Payment:
    """As checkout leaves it."""
    return Payment.from_item({**payment.to_item(), "session_id": f"cs_test_{number:058d}"})


def debit_event(user_id: str = "alice", key: str = "") -> dict[str, Any]:
    """One unit taken by the seller's backend."""
    headers = {"idempotency-key": key} if key else {}
    return call(
        "POST",
        "/quota/debits",
        sub="backend",
        body=json.dumps({"user_id": user_id, "units": 1}),
        headers=headers,
    )


def call(
    method: str,
    path: str,
    *,
    sub: str = "",
    body: str | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Any call through API Gateway, by a token with every scope."""
    route, whole, parameters = _routed(method, path)
    usual = {
        "content-type": "application/json",
        "user-agent": "bench",
        "host": "api.example.com",
        "x-forwarded-for": "192.0.2.1",
    }
    event = gateway_event(route, whole, parameters, {**usual, **(headers or {})}, body)
    if sub:
        event["requestContext"]["authorizer"] = {
            "jwt": {"claims": {"sub": sub, "scope": "quota.write quota.grant"}, "scopes": None}
        }
    return event


def _routed(method: str, path: str) -> tuple[Route, str, dict[str, str]]:
    """Return the route, the whole path and its parameters.

    The path is below the API's base path, or at the root like the page's.
    """
    for route, whole in product(TEMPLATE.routes(), (API + path, path)):
        if (parameters := route.match(method, whole)) is not None:
            return route, whole, parameters
    raise LookupError(f"no route {method} {path}")


def handler_of(event: Mapping[str, Any]) -> str:
    """The function that the template routes an event to."""
    key = event["routeKey"]
    return next(
        route.handler for route in TEMPLATE.routes() if f"{route.method} {route.path}" == key
    )
