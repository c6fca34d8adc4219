"""Emulates DynamoDB's transaction conflicts, which local databases do not have.

DynamoDB cancels a transaction when one of its items is part of another transaction at the time, and
refuses a single write of such an item:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

TRANSACTION_SECONDS: Final = 0.010
"""So long a transaction has its items.

What DynamoDB takes is not documented; a client sees about that much.

By the clock, and not until the thread that sent it gets on: 64 containers that share one process of
one machine here would else keep each other off the account for as long as they wait for that
machine.
"""
WRITE_SECONDS: Final = 0.005
WRITES: Final = ("UpdateItem", "PutItem", "DeleteItem")
Item = tuple[str, str]


class Wire:
    """Delays every write; with ``conflicts``, turns those away that meet a transaction.

    Counts what was turned away, by reason.
    """

    def __init__(self, *, conflicts: bool) -> None:
        """Nothing is under way."""
        self.turned_away: Counter[str] = Counter()
        self._conflicts = conflicts
        self._busy_until: dict[Item, float] = {}
        self._lock = threading.Lock()

    def send(self, send: Any, session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        """One request of DynamoDB's."""
        target = request.headers["X-Amz-Target"]
        operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        if not self._conflicts:
            return self._noted(send(session, request))
        body = json.loads(request.body)
        if operation == "TransactWriteItems":
            return self._noted(
                self._transaction(
                    send,
                    session,
                    request,
                    [_item(next(iter(act.values()))) for act in body["TransactItems"]],
                )
            )
        if operation in WRITES:
            return self._noted(self._write(send, session, request, _item(body)))
        return self._noted(send(session, request))

    def _transaction(
        self, send: Any, session: URLLib3Session, request: AWSPreparedRequest, items: list[Item]
    ) -> AWSResponse:
        with self._lock:
            now = time.monotonic()
            met = [self._busy_until.get(item, 0) > now for item in items]
            if not any(met):
                self._busy_until.update(dict.fromkeys(items, now + TRANSACTION_SECONDS))
        if any(met):
            reasons = [{"Code": "TransactionConflict" if one else "None"} for one in met]
            return _refusal(
                request,
                {
                    "__type": "#TransactionCanceledException",
                    "Message": "",
                    "CancellationReasons": reasons,
                },
            )
        time.sleep(TRANSACTION_SECONDS)  # what a transaction takes, emulated
        answer: AWSResponse = send(session, request)
        return answer

    def _write(
        self, send: Any, session: URLLib3Session, request: AWSPreparedRequest, item: Item
    ) -> AWSResponse:
        time.sleep(WRITE_SECONDS)  # the way to DynamoDB and back, emulated as well
        if self._busy_until.get(item, 0) > time.monotonic():
            return _refusal(request, {"__type": "#TransactionConflictException", "Message": ""})
        answer: AWSResponse = send(session, request)
        return answer

    def _noted(self, answer: AWSResponse) -> AWSResponse:
        if answer.status_code >= 400:
            said = json.loads(answer.content)
            codes = {reason["Code"] for reason in said.get("CancellationReasons", [])} - {"None"}
            kind = said["__type"].rpartition("#")[2]
            conflict = "TransactionConflict" in codes and "ConditionalCheckFailed" not in codes
            with self._lock:
                self.turned_away[
                    "conflict"
                    if conflict or kind == "TransactionConflictException"
                    else "condition"
                ] += 1
        return answer


@contextmanager
def wire(*, conflicts: bool) -> Iterator[Wire]:
    """In place for as long as this lasts."""
    made, send = Wire(conflicts=conflicts), URLLib3Session.send
    URLLib3Session.send = lambda session, request: made.send(send, session, request)
    try:
        yield made
    finally:
        URLLib3Session.send = send


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content


def _item(act: Mapping[str, Any]) -> Item:
    return act["TableName"], json.dumps(act["Key"], sort_keys=True)


def _refusal(request: AWSPreparedRequest, said: Mapping[str, Any]) -> AWSResponse:
    return AWSResponse(
        request.url,
        400,
        {"content-type": "application/x-amz-json-1.0"},
        _Body(json.dumps(said).encode()),
    )
