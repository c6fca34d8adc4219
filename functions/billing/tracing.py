"""X-Ray: what a sampled request waited for outside, and the ids of its log line to find it by.

Lambda makes the segment of every invocation and decides which are sampled. A request that is not
pays for one look at a variable: the X-Ray SDK, 30 ms of CPU, is imported by the first one that is.
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
"""Lambda's own variable, new for every invocation."""
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
"""Nothing else goes into a trace: no bodies, no names, no messages of exceptions."""
NOTHING: Final = nullcontext()


@dataclass(slots=True)
class _Trace:
    """Of the request at hand. One at a time: that is how Lambda calls a process."""

    tracer: "Tracer | None" = None


_trace: Final = _Trace()


@cache
def tracer() -> "Tracer":
    """Patches nothing: what is worth a subsegment names itself.

    Without a daemon to send to, nothing is said.
    """
    from aws_lambda_powertools import Tracer  # noqa: PLC0415 - what this is all about

    logging.getLogger("aws_xray_sdk").setLevel(logging.CRITICAL)
    return Tracer(auto_patch=False)


def request(name: str) -> AbstractContextManager[None]:
    """Around one request. ``name``: the function's."""
    return _request(name) if SAMPLED in os.environ.get(HEADER, "") else NOTHING


def call(name: str, operation: str = "") -> AbstractContextManager[None]:
    """Around one call of an outside service, of AWS where an ``operation`` is named, while a request is traced."""
    return (
        NOTHING
        if _trace.tracer is None
        else _subsegment(_trace.tracer, name, "aws" if operation else "remote", operation)
    )


def annotate(**notes: object) -> None:
    """Make the traced request findable by what it was about."""
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
def _subsegment(tracer: "Tracer", name: str, namespace: str, operation: str = "") -> Iterator[None]:
    """A failure is marked, not told: the message of an exception may hold anything."""
    recorder: Any = (
        tracer.provider
    )  # powertools types what every tracer has; this is the X-Ray SDK's
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
