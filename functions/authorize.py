"""A Lambda authorizer for the seller's own API.

It checks an API key, debits units and allows or denies.

It fails closed: a call is never allowed when the debit's outcome is unknown.

Simple responses:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html

REST policies:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html

The authorizer's cache must be off (TTL 0). A call that is allowed from the cache debits nothing.
"""

from collections.abc import Mapping
from typing import Any

from billing import tracing
from billing.errors import BillingError
from billing.quota import api_keys, debits
from billing.quota.spending import Meter
from billing.telemetry import count, logger, metrics
from billing.wiring.container import books, connect, deadline, in_init, settings

in_init(connect)


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Allow or deny one call to the seller's API.

    It raises when the debit's outcome is unknown. API Gateway then answers 500 and does not make
    the call.
    """
    notes: dict[str, Any] = {
        "request_id": str(getattr(context, "aws_request_id", "")),
        "outcome": "unknown",
    }
    deadline().begin()
    try:
        with tracing.request("authorize"):
            allowed = _spend(_presented(event), notes)
            tracing.annotate(**notes)
    finally:
        logger.info("request", route="authorizer", **notes)
        if metrics.metric_set:
            metrics.flush_metrics()
    if "methodArn" in event or event.get("type") == "TOKEN":
        return _policy(event, allowed)
    return {"isAuthorized": bool(allowed), "context": allowed}


def _spend(presented: str, notes: dict[str, Any]) -> dict[str, str]:
    """Debit the key's user. Return the context of an allowed call, or {} to deny it."""
    holder = api_keys.holder(books(), settings().stage, presented)
    if holder is None:
        notes.update(outcome="denied", code="no_such_key")
        return {}
    notes["key_id"] = holder.key_id
    try:
        meter = Meter(books(), settings().site_url)
        taken = debits.debit(meter, holder.user_id, settings().authorize_units)
    except BillingError as refused:
        count("refused_debits")
        notes.update(outcome="denied", code=refused.code)
        return {}
    notes.update(outcome="allowed", debit_id=taken.debit_id)
    return {
        "user_id": holder.user_id,
        "key_id": holder.key_id,
        "remaining": str(taken.remaining),
    }


def _presented(event: Mapping[str, Any]) -> str:
    """Return the key in the header ``x-api-key``, or in ``Authorization`` after ``Bearer``.

    A TOKEN authorizer gets either header's value as ``authorizationToken``.
    """
    sent = event.get("headers") or {}
    headers = {str(name).lower(): str(value) for name, value in sent.items()}
    if key := headers.get("x-api-key"):
        return key
    bare = str(event.get("authorizationToken") or "")
    scheme, _, token = (bare or headers.get("authorization", "")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" else bare


def _policy(event: Mapping[str, Any], allowed: Mapping[str, str]) -> dict[str, Any]:
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow" if allowed else "Deny",
        "Resource": event.get("methodArn", "*"),
    }
    return {
        "principalId": allowed.get("user_id", "nobody"),
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": allowed,
    }
