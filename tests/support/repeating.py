"""Repeats calls of the local stack that had no result in time: on a busy machine that is no fault.

API Gateway gives up after 30 seconds, with an answer of its own that our description does not know:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
"""

from collections.abc import Callable, Collection
from typing import Final

import httpx

NO_RESULT: Final = (503, 504)
"""The gateway's own time-out, or the product's `outcome_unknown`: both ask the caller to repeat."""
TIMES_MAX: Final = 6
"""Three minutes of time-outs. After that it is a fault, and the last answer is the test's."""
SAFE_METHODS: Final = ("GET", "HEAD", "PUT", "DELETE")
"""RFC 9110, section 9.2.2: sent twice, they do what they do once."""


def is_without_result(answer: httpx.Response) -> bool:
    """Whether the caller does not know what has been done."""
    return answer.status_code in NO_RESULT


def is_safe(method: str, path: str, headers: Collection[str]) -> bool:
    """Whether a call may be sent twice: by its method, its key, or because it asks Stripe."""
    return method in SAFE_METHODS or "idempotency-key" in headers or path.endswith("/confirm")


def until_answered(send: Callable[[], httpx.Response]) -> httpx.Response:
    """Call ``send``, which must be safe to repeat, until it has a result. Return its answer."""
    for _ in range(TIMES_MAX - 1):
        try:
            answer = send()
        except httpx.ReadTimeout:
            continue
        if not is_without_result(answer):
            return answer
    return send()
