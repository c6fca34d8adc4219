"""Traces the requests that Lambda samples, with X-Ray.

A trace shows the request's calls to DynamoDB and Stripe. It also has ids, such
as the payment's, by which an operator can find it.

Lambda creates the segment of each invocation and decides which are sampled.
The X-Ray SDK takes 30 ms of CPU to import, so only the first sampled request
imports it. Other requests only read one variable.

https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
"""

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aws_lambda_powertools import Tracer

HEADER: Final = "_X_AMZN_TRACE_ID"
"""The environment variable with the trace's id. Lambda sets it again for
each invocation.
"""
SAMPLED: Final = "Sampled=1"
ANNOTATED: Final = (
    "request_id",
    "status",
    "code",
    "outcome",
    "payment_id",
    "session_id",
    "event_id",
    "debit_id",
    "hold_id",
    "key_id",
)
"""What is written into a trace. It never has bodies, names or messages of
exceptions.
"""
NOTHING: Final = nullcontext()


@dataclass(slots=True)
class _Trace:
    """Holds the tracer of the current request, or None if it is not traced.

    One for each process is enough: Lambda sends a process one request at a
    time.
    """

    tracer: "Tracer | None" = None


_trace: Final = _Trace()


@cache
def tracer() -> "Tracer":
    """Return the X-Ray recorder.

    It patches no library, because ``call`` creates the subsegments. Its
    warnings about a missing X-Ray daemon are not logged.
    """
    from aws_lambda_powertools import Tracer  # noqa: PLC0415 - only a traced request pays for it

    logging.getLogger("aws_xray_sdk").setLevel(logging.CRITICAL)
    return Tracer(auto_patch=False)


def request(name: str) -> AbstractContextManager[None]:
    """Return a context manager that traces one request with AWS X-Ray.

    It does nothing unless Lambda sampled the request. ``name`` is the name of
    the Lambda function's module, as the trace shows it.
    """
    return _request(name) if SAMPLED in os.environ.get(HEADER, "") else NOTHING


def call(name: str, operation: str = "") -> AbstractContextManager[None]:
    """Return a context manager that traces one call to DynamoDB or Stripe.

    It does nothing unless the request is traced. ``operation`` is AWS's
    name of the call, and "" for Stripe.
    """
    if _trace.tracer is None:
        return NOTHING
    namespace = "aws" if operation else "remote"
    return _subsegment(_trace.tracer, name, namespace, operation)


def annotate(**notes: object) -> None:
    """Add ids to the request's trace, so that it can be found by them.

    Only names in the list ANNOTATED are added. Does nothing if the request is
    not traced.
    """
    if _trace.tracer is not None:
        for name in ANNOTATED:
            if notes.get(name):
                _trace.tracer.put_annotation(name, str(notes[name]))


@contextmanager
def _request(name: str) -> Iterator[None]:
    _trace.tracer = tracer()
    try:
        with _subsegment(_trace.tracer, name, "local"):
            yield
    finally:
        _trace.tracer = None


@contextmanager
def _subsegment(
    tracer: "Tracer", name: str, namespace: str, operation: str = ""
) -> Iterator[None]:
    """Record the block as a subsegment of the trace.

    A failure is recorded without its message, because the message of an
    exception may have any data.
    """
    # powertools types what every tracer has; this is the X-Ray SDK's
    recorder: Any = tracer.provider
    made = recorder.begin_subsegment(name, namespace)
    if made and operation:
        made.set_aws({"operation": operation})
    try:
        yield
    except BaseException:
        if made:
            made.add_error_flag()
        raise
    finally:
        recorder.end_subsegment()
