"""Turns a function into a Lambda handler that always answers with a status code."""

import functools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, Final

from billing import tracing
from billing.answers import members
from billing.api import response
from billing.api.request import Request
from billing.errors import (
    BillingError,
    NotDoneError,
    RetryableError,
    StripeRefusedError,
)
from billing.spending.meter import Meter
from billing.telemetry import count, logger, metrics, report_refusal
from billing.wiring import container
from billing.wiring.container import connect, deadline, in_init

if TYPE_CHECKING:
    from billing.api.response import Body

Answer = tuple[int, "Body"]
"""A status code and a body."""
Lambda = Callable[[Mapping[str, Any], object], dict[str, Any]]
IDS: Final = ("payment_id", "session_id", "debit_id", "hold_id", "key_id")
"""The members of an answer that go into the request's log line."""
HOLD_CHARS: Final = 45
"""How much of a hold's id is logged. The rest has the user's id
(holds.HoldId), which some issuers make from an e-mail address.
"""
UNKNOWN: Final = (
    "the outcome is not known yet; "
    "ask again, with the same Idempotency-Key where there is one"
)
BUSY: Final = "there was no time for this; nothing was taken or charged; ask again in a moment"
INTERNAL: Final = "Internal error. Quote this request_id when you report it."
RETRY_AFTER_SECONDS: Final = "1"


def site_url(request: Request) -> str:
    """Return the URL of the web page on which customers buy units.

    It is the template's SiteUrl, or the API's own domain. API Gateway fills in
    the API's domain, so a caller cannot forge it.
    """
    return container.settings().site_url or f"https://{request.domain}"


def meter(request: Request) -> Meter:
    """Return what debits and holds need, as a Meter.

    It has the access to our tables, and the URL at which a customer can buy
    units.
    """
    return Meter(container.books(), site_url(request))


def endpoint(act: Callable[[Request], Answer]) -> Lambda:
    """Return a Lambda handler that answers each request with ``act``.

    It is for an ``act`` that uses our tables: DynamoDB's client is created
    while Lambda starts the process. Others can use static_endpoint.
    """
    in_init(connect)
    return static_endpoint(act)


def static_endpoint(act: Callable[[Request], Answer]) -> Lambda:
    """Return a Lambda handler for an ``act`` that needs none of our tables.

    Unlike ``endpoint``, it creates no client of DynamoDB at the start. A
    caller's mistake is answered with 4xx, and every other error with 5xx and a
    log line.
    """

    @functools.wraps(act)
    def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
        request = Request.of(
            event, str(getattr(context, "aws_request_id", "") or uuid.uuid4())
        )
        deadline().begin()
        with tracing.request(act.__module__):
            answer = _answer(act, request)
            noted = {
                "status": answer["statusCode"],
                "request_id": request.request_id,
                **request.notes,
            }
            tracing.annotate(**noted)
        logger.info("request", route=request.route, **noted)
        _flush()
        return answer

    return handler


def _answer(
    act: Callable[[Request], Answer], request: Request
) -> dict[str, Any]:
    try:
        status, body = act(request)
        request.notes.update(_ids(body))
        return response.answer(status, body, request.request_id)
    except BillingError as error:
        request.notes["code"] = error.code
        if isinstance(error, StripeRefusedError):
            report_refusal(error, request_id=request.request_id)
        return response.problem(error, request.request_id)
    except RetryableError as error:
        return _answer_retryable(error, request.request_id)
    except Exception:  # noqa: BLE001 - logged whole, answered 500, counted for the alarm
        logger.exception("internal error", request_id=request.request_id)
        count("internal_errors")
        return response.problem(
            BillingError("internal_error", INTERNAL), request.request_id
        )


def _answer_retryable(error: RetryableError, request_id: str) -> dict[str, Any]:
    """Return the 503 for a request that may be repeated.

    Its code is ``busy`` if nothing was done, and ``outcome_unknown``
    otherwise.
    """
    count("outcome_unknown")
    if isinstance(error, NotDoneError):
        logger.warning("busy", why=str(error), request_id=request_id)
        answer = response.problem(BillingError("busy", BUSY), request_id)
        answer["headers"]["retry-after"] = RETRY_AFTER_SECONDS
        return answer
    logger.warning("outcome unknown", why=str(error), request_id=request_id)
    return response.problem(
        BillingError("outcome_unknown", UNKNOWN), request_id
    )


def _ids(body: "Body") -> dict[str, Any]:
    shown = _members(body)
    found = {name: shown[name] for name in IDS if name in shown}
    if "hold_id" in found:
        found["hold_id"] = found["hold_id"][:HOLD_CHARS]
    return found


def _members(body: "Body") -> Mapping[str, Any]:
    if is_dataclass(body):
        return members(body)
    return body or {}


def _flush() -> None:
    """Write the collected metrics as one log line, in CloudWatch's EMF format.

    So no call to CloudWatch is made. Without metrics, nothing is written.
    """
    if metrics.metric_set:
        metrics.flush_metrics()
