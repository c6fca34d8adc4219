"""A Lambda authorizer for the seller's own API.

If anything fails, the call is not allowed. What a call costs is in
billing/keys/call_costs.json, which is checked when this module is imported.
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html (simple
responses) and
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html

The authorizer's cache must be off (TTL 0). A call that is allowed from the
cache debits nothing.
"""

from collections.abc import Mapping
from typing import Any, Final

from billing import tracing
from billing.errors import BillingError
from billing.keys import costs, held, holders
from billing.keys.calls import cost_of
from billing.keys.counting import spend_by
from billing.keys.holders import Holder
from billing.keys.limits import Limit
from billing.quota.key_use import KeyUse
from billing.spending import debits
from billing.spending.debits import Debit
from billing.spending.meter import Meter
from billing.telemetry import count, logger, metrics
from billing.wiring.container import books, connect, deadline, in_init, settings

COSTS: Final = costs.load(costs.FILE.read_text(encoding="utf-8"))

in_init(connect)


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Allow one call to the seller's API and debit its cost, or deny it.

    The units are taken from the API key's user. It raises if it is unknown
    whether they were taken. API Gateway then answers 500 and does not make
    the call.
    """
    notes: dict[str, Any] = {
        "request_id": str(getattr(context, "aws_request_id", "")),
        "outcome": "unknown",
    }
    deadline().begin()
    try:
        with tracing.request("authorize"):
            allowed = _spend(_presented(event), event, notes)
            tracing.annotate(**notes)
    finally:
        logger.info("request", route="authorizer", **notes)
        if metrics.metric_set:
            metrics.flush_metrics()
    if "methodArn" in event or event.get("type") == "TOKEN":
        return _policy(event, allowed)
    return {"isAuthorized": bool(allowed), "context": allowed}


def _spend(
    presented: str, event: Mapping[str, Any], notes: dict[str, Any]
) -> dict[str, str]:
    """Debit the user of the API key for one call.

    Returns the context that an allowed call gets, or {} to deny the call.
    ``presented`` is the API key that the caller sent. The outcome is added
    to ``notes``.
    """
    found = holders.holder(books(), settings().stage, presented)
    if found is None:
        notes.update(outcome="denied", code="no_such_key")
        return {}
    notes["key_id"] = found.key_id
    units = cost_of(COSTS, event, settings().authorize_units)
    try:
        remaining, of_limit = (
            _take(found, units, notes) if units else _look(found)
        )
    except BillingError as refused:
        count("refused_debits")
        notes.update(outcome="denied", code=refused.code)
        return {}
    notes.update(outcome="allowed")
    context = {
        "user_id": found.user_id,
        "key_id": found.key_id,
        "remaining": str(remaining),
    }
    limited = {} if of_limit is None else {"limit_remaining": str(of_limit)}
    return context | limited


def _take(
    found: Holder, units: int, notes: dict[str, Any]
) -> tuple[int, int | None]:
    """Debit ``units`` from the holder of an API key. Return what is left.

    The numbers are the units left in the account and those left of the API
    key's limit, None without one. The debit's id is added to ``notes``.
    """
    meter = Meter(books(), settings().site_url)

    def take(key: KeyUse | None) -> Debit:
        return debits.debit(meter, found.user_id, units, key)

    taken = spend_by(books(), found.user_id, KeyUse(found.key_id), take)
    notes["debit_id"] = taken.debit_id
    return taken.remaining, taken.limit_remaining


def _look(found: Holder) -> tuple[int, int | None]:
    """Return the units left in the account and of the API key's limit.

    Nothing is debited: this is for a call that costs nothing. The second
    number is None without a limit.
    """
    return held.units_left(books(), found, Limit.from_item(found.row))


def _presented(event: Mapping[str, Any]) -> str:
    """Return the API key that the caller sent, or "".

    It is in the header ``x-api-key``, or in ``Authorization`` after
    ``Bearer``. A TOKEN authorizer gets the value of either header as
    ``authorizationToken``.
    """
    sent = event.get("headers") or {}
    headers = {str(name).lower(): str(value) for name, value in sent.items()}
    if key := headers.get("x-api-key"):
        return key
    bare = str(event.get("authorizationToken") or "")
    scheme, _, token = (bare or headers.get("authorization", "")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" else bare


def _policy(
    event: Mapping[str, Any], allowed: Mapping[str, str]
) -> dict[str, Any]:
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
