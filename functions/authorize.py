"""A Lambda authorizer for the seller's own API: a key in, units debited, allow or deny out. It fails closed.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html (simple responses) and
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html (REST policies).
The authorizer's cache must be off (TTL 0): a cached answer is a call that nobody pays for.
"""

import os
from collections.abc import Mapping
from typing import Any, Final

from billing import keys, quota
from billing.errors import BillingError
from billing.runtime import books, patience, settings
from billing.spending import Meter
from billing.telemetry import count, logger, metrics

UNITS: Final = int(os.environ.get("AUTHORIZE_UNITS", "1"))


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Raises when the outcome is unknown: API Gateway then answers 500, and the call is not made."""
    del context
    patience().begin()
    try:
        allowed = _spend(_presented(event))
    finally:
        if metrics.metric_set:
            metrics.flush_metrics()
    if "methodArn" in event or event.get("type") == "TOKEN":
        return _policy(event, allowed)
    return {"isAuthorized": bool(allowed), "context": allowed}


def _spend(presented: str) -> dict[str, str]:
    """The context of an allowed call, or {} to deny it."""
    holder = keys.holder(books(), settings().stage, presented)
    if holder is None:
        logger.info("denied", reason="no such key")
        return {}
    try:
        taken = quota.debit(Meter(books(), settings().site_url), holder.user_id, UNITS)
    except BillingError as refused:
        count("refused_debits")
        logger.info("denied", reason=refused.code, key_id=holder.key_id)
        return {}
    return {"user_id": holder.user_id, "key_id": holder.key_id, "remaining": str(taken["remaining"])}


def _presented(event: Mapping[str, Any]) -> str:
    """The key from ``x-api-key``, or from ``Authorization: Bearer``."""
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    given = str(event.get("authorizationToken") or headers.get("authorization", ""))
    scheme, _, token = given.partition(" ")
    return headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else given)


def _policy(event: Mapping[str, Any], allowed: Mapping[str, str]) -> dict[str, Any]:
    statement = {
        "Action": "execute-api:Invoke",
        "Effect": "Allow" if allowed else "Deny",
        "Resource": event.get("methodArn", event.get("routeArn", "*")),
    }
    return {
        "principalId": allowed.get("user_id", "nobody"),
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": allowed,
    }
