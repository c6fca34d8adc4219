"""Each minute, and for every message of the queue: parked facts are tried again, expired holds are given back."""

import json
from collections.abc import Mapping
from typing import Any

from billing import outbox, recovery, settlement
from billing.errors import OutcomeUnknownError
from billing.runtime import books, patience
from billing.stripe_doors import gateway
from billing.telemetry import count, logger, metrics


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """SQS messages are answered one by one (ReportBatchItemFailures); anything else is the schedule."""
    del context
    try:
        if "Records" in event:
            failed = [record["messageId"] for record in event["Records"] if not _is_safe(record["body"])]
            return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
        return _scheduled()
    finally:
        if metrics.metric_set:
            metrics.flush_metrics()


def _is_safe(body: str) -> bool:
    """The fact is settled, or parked where the schedule finds it. Otherwise SQS keeps it, and in the end its dead-letter queue."""
    patience().begin()
    try:
        fact = outbox.read_message(body)
        outcome = settlement.apply(books(), fact)
    except (OutcomeUnknownError, KeyError, TypeError, json.JSONDecodeError):
        logger.exception("a message stays in the queue")
        return False
    logger.info(outcome.status, event_id=fact.fact_id, type=fact.type, units=outcome.units)
    return True


def _scheduled() -> dict[str, Any]:
    patience().begin()
    swept = recovery.sweep_holds(books())
    done = recovery.run(books(), gateway())
    count("parked_age_seconds", done.oldest_seconds if done.waiting else 0)
    logger.info("recovered", settled=done.settled, waiting=done.waiting, swept=swept)
    return {"settled": done.settled, "waiting": done.waiting, "swept_holds": swept}
