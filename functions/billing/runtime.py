"""Wires a function together once per container, and turns every way a request can end into one answer."""

import functools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

from billing import api
from billing.api import Request
from billing.books import Books, NoOutbox
from billing.errors import BillingError, OutcomeUnknownError
from billing.events import Ours
from billing.outbox import Queue
from billing.patience import Patience
from billing.settings import Settings
from billing.spending import Meter
from billing.store import Store
from billing.telemetry import count, logger, metrics
from billing.times import utc_now

Answer = tuple[int, Mapping[str, Any] | None]
Lambda = Callable[[Mapping[str, Any], object], dict[str, Any]]
UNKNOWN: Final = "the outcome is not known yet; ask again, with the same Idempotency-Key where there is one"


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


@cache
def books() -> Books:
    """What every act works on."""
    ours = Ours(settings().livemode, settings().stack_name)
    return Books(store(), utc_now, ours, settings().reversal_policy, NoOutbox())


@cache
def receiving_books() -> Books:
    """For those who hear of facts first: what cannot be applied is kept in the queue as well."""
    return replace(books(), outbox=Queue(settings().parked_queue_url))


def site_url(request: Request) -> str:
    """Where customers go: the template's SiteUrl, or the API's own address, which API Gateway tells and no caller can."""
    return settings().site_url or f"https://{request.domain}"


def meter(request: Request) -> Meter:
    """For debits and holds."""
    return Meter(books(), site_url(request))


def endpoint(act: Callable[[Request], Answer]) -> Lambda:
    """Make a Lambda handler of an act: the caller's mistakes are 4xx, everything else 5xx, nothing is swallowed."""

    @functools.wraps(act)
    def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
        request = Request.of(event, str(getattr(context, "aws_request_id", "") or uuid.uuid4()))
        patience().begin()
        said = _said(act, request)
        logger.info("request", route=request.route, status=said["statusCode"], request_id=request.request_id)
        _flush()
        return said

    return handler


def _said(act: Callable[[Request], Answer], request: Request) -> dict[str, Any]:
    try:
        status, body = act(request)
        return api.answer(status, body, request.request_id)
    except BillingError as error:
        logger.info("refused", code=error.code, request_id=request.request_id)
        return api.problem(error, request.request_id)
    except OutcomeUnknownError as error:
        logger.warning("outcome unknown", why=str(error), request_id=request.request_id)
        count("outcome_unknown")
        return api.problem(BillingError("outcome_unknown", UNKNOWN), request.request_id)
    except Exception:  # noqa: BLE001 - the last line of defence: a fault of ours is logged whole, answered 500, and counted for the alarm
        logger.exception("internal error", request_id=request.request_id)
        count("internal_errors")
        return api.problem(BillingError("internal_error", "a fault of ours; the log has it"), request.request_id)


def _flush() -> None:
    """Metrics leave as one log line (EMF), without a call."""
    if metrics.metric_set:
        metrics.flush_metrics()
