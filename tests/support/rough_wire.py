"""A rough wire under boto3: requests that never leave, answers that never come, throttles,
conflicts, a process killed.
"""

import io
import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from billing.storage.dynamodb import Store
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError

NOT_CARRIED: Final = (
    "never sent",
    "cut before it was carried",
    "throttled",
    "conflict",
    "function killed before",
)
CARRIED: Final = ("answer lost", "carried, and answered 500", "function killed after")
RATE: Final = 1 / 6
JSON: Final = {"content-type": "application/x-amz-json-1.0"}


class _Body(io.BytesIO):
    def stream(self, **_: object) -> Any:
        """As urllib3's."""
        yield self.getvalue()


class Killed(BaseException):
    """The function's process is gone: nothing of the product runs after it, no handler of
    exceptions either.
    """


def _error(url: str, status: int, code: str, **members: object) -> AWSResponse:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected", **members}
    return AWSResponse(url, status, JSON, _Body(json.dumps(body).encode()))


class RoughWire:
    """Stands in botocore's place for the HTTP session: every sixth request or so meets a fault."""

    def __init__(
        self, session: Any, seed: int, figures: Counter[str], faults: Sequence[str]
    ) -> None:
        """Around the real session. ``figures`` counts what became of every request."""
        self._session, self._random, self._figures, self._faults = (
            session,
            random.Random(seed),
            figures,
            faults,
        )
        self.is_rough = True

    def send(self, request: Any) -> Any:
        """Carry it, or not, or lose what came back."""
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        self._figures["requests"] += 1
        fault = (
            self._random.choice(self._faults)
            if self.is_rough and self._random.random() < RATE
            else ""
        )
        if fault == "conflict" and operation not in ("TransactWriteItems", "UpdateItem"):
            fault = "throttled"  # reads meet no conflicts
        self._figures[fault or "carried without a fault"] += 1
        if fault in NOT_CARRIED:
            return self._not_carried(request, fault, operation)
        answer = self._session.send(request)
        if fault == "answer lost":
            raise ReadTimeoutError(endpoint_url=request.url)
        if fault == "function killed after":
            raise Killed
        return _error(request.url, 500, "InternalServerError") if fault else answer

    @staticmethod
    def _not_carried(request: Any, fault: str, operation: str) -> Any:
        if fault == "never sent":
            raise EndpointConnectionError(endpoint_url=request.url)
        if fault == "cut before it was carried":
            raise ConnectionClosedError(endpoint_url=request.url)
        if fault == "function killed before":
            raise Killed
        if fault == "throttled":
            return _error(request.url, 400, "ProvisionedThroughputExceededException")
        if operation == "UpdateItem":
            return _error(request.url, 400, "TransactionConflictException")
        count = len(json.loads(request.body)["TransactItems"])
        reasons = [{"Code": "None"}] * (count - 1) + [
            {"Code": "TransactionConflict", "Message": "injected"}
        ]
        return _error(request.url, 400, "TransactionCanceledException", CancellationReasons=reasons)


def rough(
    store: Store, seed: int, figures: Counter[str], faults: Sequence[str] = NOT_CARRIED + CARRIED
) -> RoughWire:
    """Put the wire under the product's store."""
    endpoint = store._client._endpoint
    endpoint.http_session = RoughWire(endpoint.http_session, seed, figures, faults)
    wire: RoughWire = endpoint.http_session
    return wire
