"""Wires a function together once per container, and turns every way a request can end into one answer."""

import functools
import os
import uuid
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from billing import api, tracing
from billing.api import Request
from billing.books import Books, NoOutbox
from billing.deployment import StoredDeployment
from billing.errors import BillingError, BusyError, OutcomeUnknownError, StripeRefusedError
from billing.patience import Patience
from billing.settings import Ours, Settings
from billing.spending import Meter
from billing.store import Store
from billing.telemetry import count, logger, metrics, report_refusal
from billing.times import utc_now

Answer = tuple[int, Mapping[str, Any] | None]
Lambda = Callable[[Mapping[str, Any], object], dict[str, Any]]
IDS: Final = ("payment_id", "session_id", "debit_id", "hold_id", "key_id")
"""What an answer says of these goes into the request's log line."""
HOLD_CHARS: Final = 45
"""That much of a hold's id is its own; the rest spells the user (holds.HoldId), and some issuers' users are e-mail addresses."""
STARTS_WHOLE: Final = ("on-demand", "provisioned-concurrency")
"""Ways to start in which what is made before the first request lives as long as the container, its credentials too. Not from a snapshot.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
"""
UNKNOWN: Final = "the outcome is not known yet; ask again, with the same Idempotency-Key where there is one"
BUSY: Final = "there was no time for this; nothing was taken or charged; ask again in a moment"
RETRY_AFTER_SECONDS: Final = "1"


@cache
def settings() -> Settings:
    """The environment, read at the first request of a container."""
    return Settings.from_environment()


@cache
def patience() -> Patience:
    """The deadline that all doors of a request share."""
    return Patience()


@cache
def store() -> Store:
    """DynamoDB."""
    return Store(settings().tables, patience())


def connect() -> None:
    """What the first call of DynamoDB would have to do first."""
    store().connect()


@cache
def books() -> Books:
    """What every act works on."""
    ours = Ours(settings().livemode, StoredDeployment(store()))
    return Books(store(), utc_now, ours, settings().reversal_policy, NoOutbox())


def site_url(request: Request) -> str:
    """Where customers go: the template's SiteUrl, or the API's own address, which API Gateway tells and no caller can."""
    return settings().site_url or f"https://{request.domain}"


def meter(request: Request) -> Meter:
    """For debits and holds."""
    return Meter(books(), site_url(request))


def in_init(make: Callable[[], object]) -> None:
    """Make a client while Lambda starts the container, if it may be kept: a whole processor is there then, and a seventh of one later."""
    if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") in STARTS_WHOLE:
        make()


def endpoint(act: Callable[[Request], Answer]) -> Lambda:
    """Make a Lambda handler of an act on the books."""
    in_init(connect)
    return static_endpoint(act)


def static_endpoint(act: Callable[[Request], Answer]) -> Lambda:
    """Make a Lambda handler of an act: the caller's mistakes are 4xx, everything else 5xx, nothing is swallowed."""

    @functools.wraps(act)
    def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
        request = Request.of(event, str(getattr(context, "aws_request_id", "") or uuid.uuid4()))
        patience().begin()
        with tracing.request(act.__module__):
            said = _said(act, request)
            tracing.annotate(request_id=request.request_id, status=said["statusCode"], **request.notes)
        logger.info("request", route=request.route, status=said["statusCode"], request_id=request.request_id, **request.notes)
        _flush()
        return said

    return handler


def _said(act: Callable[[Request], Answer], request: Request) -> dict[str, Any]:
    try:
        status, body = act(request)
        request.notes.update(_ids(body or {}))
        return api.answer(status, body, request.request_id)
    except BillingError as error:
        request.notes["code"] = error.code
        if isinstance(error, StripeRefusedError):
            report_refusal(error, request_id=request.request_id)
        return api.problem(error, request.request_id)
    except BusyError as error:
        logger.warning("busy", why=str(error), request_id=request.request_id)
        count("outcome_unknown")
        said = api.problem(BillingError("busy", BUSY), request.request_id)
        return {**said, "headers": {**said["headers"], "retry-after": RETRY_AFTER_SECONDS}}
    except OutcomeUnknownError as error:
        logger.warning("outcome unknown", why=str(error), request_id=request.request_id)
        count("outcome_unknown")
        return api.problem(BillingError("outcome_unknown", UNKNOWN), request.request_id)
    except Exception:  # noqa: BLE001 - the last line of defence: a fault of ours is logged whole, answered 500, and counted for the alarm
        logger.exception("internal error", request_id=request.request_id)
        count("internal_errors")
        return api.problem(BillingError("internal_error", "a fault of ours; the log has it"), request.request_id)


def _ids(body: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: body[name] for name in IDS if name in body}
    return {**found, "hold_id": found["hold_id"][:HOLD_CHARS]} if "hold_id" in found else found


def _flush() -> None:
    """Metrics leave as one log line (EMF), without a call."""
    if metrics.metric_set:
        metrics.flush_metrics()
