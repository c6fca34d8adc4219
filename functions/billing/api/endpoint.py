"""Turns a function into a Lambda handler that always answers with a status code."""

import functools
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from billing import tracing
from billing.api import response
from billing.api.request import Request
from billing.errors import BillingError, NotDoneError, RetryableError, StripeRefusedError
from billing.quota.spending import Meter
from billing.telemetry import count, logger, metrics, report_refusal
from billing.wiring import container
from billing.wiring.container import connect, deadline, in_init

Answer = tuple[int, Mapping[str, Any] | None]
Lambda = Callable[[Mapping[str, Any], object], dict[str, Any]]
IDS: Final = ("payment_id", "session_id", "debit_id", "hold_id", "key_id")
"""What an answer says of these goes into the request's log line."""
HOLD_CHARS: Final = 45
"""That much of a hold's id is its own; the rest spells the user (holds.HoldId), and some issuers'
users are e-mail addresses."""
UNKNOWN: Final = (
    "the outcome is not known yet; ask again, with the same Idempotency-Key where there is one"
)
BUSY: Final = "there was no time for this; nothing was taken or charged; ask again in a moment"
RETRY_AFTER_SECONDS: Final = "1"


def site_url(request: Request) -> str:
    """Where customers go: the template's SiteUrl, or the API's own address, which API Gateway tells and no caller can."""
    return container.settings().site_url or f"https://{request.domain}"


def meter(request: Request) -> Meter:
    """For debits and holds."""
    return Meter(container.books(), site_url(request))


def endpoint(act: Callable[[Request], Answer]) -> Lambda:
    """Make a Lambda handler of an act on the books."""
    in_init(connect)
    return static_endpoint(act)


def static_endpoint(act: Callable[[Request], Answer]) -> Lambda:
    """Make a Lambda handler of an act: the caller's mistakes are 4xx, everything else 5xx, nothing is swallowed."""

    @functools.wraps(act)
    def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
        request = Request.of(event, str(getattr(context, "aws_request_id", "") or uuid.uuid4()))
        deadline().begin()
        with tracing.request(act.__module__):
            said = _said(act, request)
            tracing.annotate(
                request_id=request.request_id, status=said["statusCode"], **request.notes
            )
        logger.info(
            "request",
            route=request.route,
            status=said["statusCode"],
            request_id=request.request_id,
            **request.notes,
        )
        _flush()
        return said

    return handler


def _said(act: Callable[[Request], Answer], request: Request) -> dict[str, Any]:
    try:
        status, body = act(request)
        request.notes.update(_ids(body or {}))
        return response.answer(status, body, request.request_id)
    except BillingError as error:
        request.notes["code"] = error.code
        if isinstance(error, StripeRefusedError):
            report_refusal(error, request_id=request.request_id)
        return response.problem(error, request.request_id)
    except NotDoneError as error:
        logger.warning("busy", why=str(error), request_id=request.request_id)
        count("outcome_unknown")
        said = response.problem(BillingError("busy", BUSY), request.request_id)
        return {**said, "headers": {**said["headers"], "retry-after": RETRY_AFTER_SECONDS}}
    except RetryableError as error:
        logger.warning("outcome unknown", why=str(error), request_id=request.request_id)
        count("outcome_unknown")
        return response.problem(BillingError("outcome_unknown", UNKNOWN), request.request_id)
    except Exception:  # noqa: BLE001 - the last line of defence: a fault of ours is logged whole, answered 500, and counted for the alarm
        logger.exception("internal error", request_id=request.request_id)
        count("internal_errors")
        return response.problem(
            BillingError("internal_error", "a fault of ours; the log has it"), request.request_id
        )


def _ids(body: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: body[name] for name in IDS if name in body}
    return {**found, "hold_id": found["hold_id"][:HOLD_CHARS]} if "hold_id" in found else found


def _flush() -> None:
    """Metrics leave as one log line (EMF), without a call."""
    if metrics.metric_set:
        metrics.flush_metrics()
