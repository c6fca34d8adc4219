"""Counts every request of the product's two clients, and can delay it."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import requests
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session
from simulator.lab import KEY

from bench.subjects import SECRET

SECRETS: Final = {"StripeKeySecret": KEY, "WebhookSecretsSecret": json.dumps({"secrets": [SECRET]})}


@dataclass(slots=True)
class Traffic:
    """What went over the wire."""

    operations: Counter[str] = field(default_factory=Counter)
    stripe: int = 0
    read_units: float = 0.0
    write_units: float = 0.0
    written: Counter[str] = field(default_factory=Counter)
    """Write units by table."""
    sent_bytes: int = 0
    received_bytes: int = 0

    @property
    def dynamo(self) -> int:
        """Calls of DynamoDB."""
        return self.operations.total()

    @property
    def busiest_units(self) -> float:
        """Write units on the table that takes most of them."""
        return max(self.written.values(), default=0.0)

    @property
    def moved_bytes(self) -> int:
        """Both ways."""
        return self.sent_bytes + self.received_bytes


@dataclass(slots=True)
class Distance:
    """Seconds that are added to every call."""

    dynamo: float = 0.0
    stripe: float = 0.0


class Tap:
    """One for the process. ``traffic`` is renewed by ``counting``."""

    def __init__(self) -> None:
        """Nothing is tapped before ``tapped``."""
        self.traffic = Traffic()
        self.distance = Distance()
        self._lock = threading.Lock()

    @contextmanager
    def counting(self) -> Iterator[Traffic]:
        """What goes over the wire meanwhile."""
        self.traffic = Traffic()
        yield self.traffic

    def aws(self, send: Any, session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        """Count a call of DynamoDB, and ask it what it cost.

        Secrets are answered here: they are cached, and no part of the figures.
        """
        service, _, operation = _text(request.headers["X-Amz-Target"]).partition(".")
        if service.startswith("secretsmanager"):
            return _secret(request)
        time.sleep(self.distance.dynamo)  # the distance that is simulated
        sent = len(request.body)
        body = {**json.loads(request.body), "ReturnConsumedCapacity": "TOTAL"}
        request.body = json.dumps(body).encode()
        request.headers["Content-Length"] = str(len(request.body))
        answer: AWSResponse = send(session, request)
        with self._lock:
            self._count(operation, sent, answer)
        return answer

    def _count(self, operation: str, sent: int, answer: AWSResponse) -> None:
        told = json.loads(answer.content).get("ConsumedCapacity") or []
        by_table = told if isinstance(told, list) else [told]
        units = sum(one["CapacityUnits"] for one in by_table)
        reads = operation in ("GetItem", "Query", "Scan", "TransactGetItems")
        self.traffic.read_units += units if reads else 0
        self.traffic.write_units += 0 if reads else units
        for one in () if reads else by_table:
            self.traffic.written[one["TableName"]] += one["CapacityUnits"]
        self.traffic.operations[operation] += 1
        self.traffic.sent_bytes += sent
        self.traffic.received_bytes += len(answer.content)

    def stripe(
        self,
        send: Any,
        session: requests.Session,
        request: requests.PreparedRequest,
        **options: Any,
    ) -> requests.Response:
        """Count a call of Stripe."""
        time.sleep(self.distance.stripe)  # the distance that is simulated
        with self._lock:
            self.traffic.stripe += 1
        answer: requests.Response = send(session, request, **options)
        return answer


@contextmanager
def tapped() -> Iterator[Tap]:
    """The tap, in place for as long as this lasts."""
    tap = Tap()
    aws, stripe = URLLib3Session.send, requests.Session.send
    URLLib3Session.send = lambda session, request: tap.aws(aws, session, request)

    def send(
        self: requests.Session, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        return tap.stripe(stripe, self, request, **options)

    requests.Session.send = send  # type: ignore[method-assign]
    try:
        yield tap
    finally:
        URLLib3Session.send, requests.Session.send = aws, stripe  # type: ignore[method-assign]


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


def _secret(request: AWSPreparedRequest) -> AWSResponse:
    name = json.loads(request.body)["SecretId"]
    content = json.dumps({"SecretString": SECRETS[name]}).encode()
    return AWSResponse(
        request.url, 200, {"content-type": "application/x-amz-json-1.1"}, _Body(content)
    )


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
