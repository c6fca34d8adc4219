"""Measures operations with 10 ms to DynamoDB and 200 ms to Stripe, so that round trips show.

Each figure is a ratio to one bare call over the same distance.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import boto3

from bench.rows import Row
from bench.stage import Stage, stage

DYNAMO_SECONDS: Final = 0.010
STRIPE_SECONDS: Final = 0.200
ROUNDS: Final = 15
GOAL: Final = 1.2


def rows() -> Iterator[Row]:
    """Medians of pairs that ran one after the other."""
    with stage() as on:
        on.deliver(on.bought("alice"))
        events = [on.bought("alice") for _ in range(ROUNDS)]
        deliveries = [
            on.delivery(event) for event in events
        ]  # to write and to sign them is Stripe's work
        bare = _bare(on, events[0])
        on.tap.distance.dynamo, on.tap.distance.stripe = DYNAMO_SECONDS, STRIPE_SECONDS
        yield Row(
            "distance",
            "settle a payment, to one round trip of a bare transaction",
            _ratio(on.handle, deliveries, bare),
            "x",
            GOAL,
        )
        again = _ratio(on.handle, deliveries, bare)
        yield Row(
            "distance",
            "duplicate delivery, the same (the local database is slow to refuse)",
            again,
            "x",
        )
        reads = _ratio(lambda _: on.call("GET", "/quota", "alice"), events, bare)
        yield Row("distance", "read the quota, the same", reads, "x", GOAL)
        debit = {"user_id": "alice", "units": 1}
        on.call("POST", "/quota/debits", "backend", debit)
        debits = _ratio(lambda _: on.call("POST", "/quota/debits", "backend", debit), events, bare)
        yield Row("distance", "debit, the same", debits, "x", GOAL)
        checkout = statistics.median(
            _seconds(lambda: on.call("POST", "/payments/checkout", "alice", {"plan": "pro"}))
            for _ in range(5)
        )
        yield Row(
            "distance",
            "checkout, to one call of Stripe and two of DynamoDB",
            checkout / (STRIPE_SECONDS + 2 * DYNAMO_SECONDS),
            "x",
        )


def _bare(on: Stage, event: dict[str, Any]) -> Callable[[], object]:
    """A transaction of as many writes as a settlement has, on rows of its own."""
    client = boto3.client("dynamodb")
    name = on.books.store._tables["events"]
    numbers = iter(range(10**9))
    subject = event["id"]

    def transact() -> object:
        number = next(numbers)
        keys = [
            {"subject": {"S": f"{subject}-{number}"}, "fact_id": {"S": str(part)}}
            for part in range(5)
        ]
        update = {
            "UpdateExpression": "SET a = :a",
            "ExpressionAttributeValues": {":a": {"S": "x" * 200}},
        }
        return client.transact_write_items(
            TransactItems=[{"Update": {"TableName": name, "Key": key, **update}} for key in keys]
        )

    return transact


def _ratio(
    act: Callable[[dict[str, Any]], object],
    events: list[dict[str, Any]],
    bare: Callable[[], object],
) -> float:
    found = [_seconds(partial(act, event)) / _seconds(bare) for event in events]
    return statistics.median(found)


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
