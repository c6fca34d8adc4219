"""Delivers events out: new ones from the table's stream, and due ones each minute.

The stream starts the first try within a second. The schedule makes all later tries, and the first
of an event that the stream lost. A failed try only sets the next one's time, so the stream never
waits for a receiver.
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
"""No batch begins with less than this left: its deadline and its last call must fit."""
METRIC_OF: Final = {
    "delivered": "events_delivered",
    "retried": "events_retried",
    "dead": "events_dead",
}


def handler(event: Mapping[str, Any], context: object) -> dict[str, int]:
    """Deliver the stream's new events, or the events that are due.

    Returns the number of each outcome.
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
    """Return the rows that were inserted. The template's filter passes no others on AWS."""
    return [
        Row.from_item(decode(record["dynamodb"]["NewImage"]))
        for record in records
        if record.get("eventName") == "INSERT"
    ]


def _report(row: Row, outcome: Outcome | Exception) -> None:
    """Log and count one try. The user's id is not logged."""
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
