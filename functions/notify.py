"""Sends events to the seller, when they are new and when they are due.

The table's stream starts the first try within a second. A schedule makes all
later tries each minute, and the first one if the stream lost the event. A
failed try only sets the time of the next, so the stream never waits for a
receiver.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from billing.notices import outbox
from billing.notices.delivery import Outcome
from billing.notices.rows import Row
from billing.storage.values import decode
from billing.telemetry import count, logger, metrics
from billing.wiring.notices import books, ways

STOP_MS: Final = 30_000
"""No batch starts with less time left than this: its deadline and its last
call must fit.
"""
METRIC_OF: Final = {
    "delivered": "events_delivered",
    "retried": "events_retried",
    "dead": "events_dead",
}


def handler(event: Mapping[str, Any], context: object) -> dict[str, int]:
    """Send events to the seller, and return how many had each outcome.

    If ``event`` has records of a DynamoDB stream, the events that they contain
    are sent. Otherwise all stored events that are due are sent.
    """
    logger.append_keys(request_id=str(getattr(context, "aws_request_id", "")))
    left_ms = getattr(
        context, "get_remaining_time_in_millis", lambda: 2 * STOP_MS
    )
    try:
        return _run(event, left_ms)
    finally:
        if metrics.metric_set:
            metrics.flush_metrics()


def _run(
    event: Mapping[str, Any], left_ms: Callable[[], int]
) -> dict[str, int]:
    chosen = ways()
    if not chosen:
        return {}
    books().store.deadline.begin()
    if "Records" in event:
        rows = _new_rows(event["Records"])
        return dict(outbox.deliver_all(books(), chosen, rows, _report))
    return dict(
        outbox.sweep(books(), chosen, lambda: left_ms() > STOP_MS, _report)
    )


def _new_rows(records: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the new events in records of the DynamoDB stream.

    The stream is that of the table of events to the seller. Records of changed
    or deleted rows are skipped. On AWS, the template's filter passes only
    inserted rows.
    """
    return [
        Row.from_item(decode(record["dynamodb"]["NewImage"]))
        for record in records
        if record.get("eventName") == "INSERT"
    ]


def _report(row: Row, outcome: Outcome | Exception) -> None:
    """Log and count one try to deliver an event to the seller.

    ``row`` is the event. ``outcome`` is how the try ended, or the exception
    that prevented it. The user's id is not logged.
    """
    if isinstance(outcome, Exception):
        logger.warning("event not tried", event_id=row.id, why=str(outcome))
        return
    if name := METRIC_OF.get(outcome):
        count(name)
    said = logger.error if outcome == "dead" else logger.info
    said(
        "event",
        event_id=row.id,
        type=row.type,
        outcome=outcome,
        tries=row.attempts + 1,
    )
