"""Retries events from Stripe that could not be settled, and ends what expired.

To settle an event is to write its effect to our tables, for example to credit
units. Each minute this function retries parked events: those that could not be
settled yet and are stored. It also ends expired holds and expired lots (units
of one purchase or grant).

It also runs for each message of an SQS queue. The queue has events that the
webhook failed to settle and, if the parameter StripeEventBus is set, all
events that Stripe sends to EventBridge.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from billing.errors import AwsRefusedError, RetryableError, StripeRefusedError
from billing.facts import Fact
from billing.parked.records import Parked
from billing.payments import fact_queue
from billing.reconciliation import hold_sweep, retry_parked
from billing.settlement import settlement
from billing.stripe_api import events
from billing.stripe_api.claims import Ignored
from billing.telemetry import (
    count,
    count_outcome,
    logger,
    metrics,
    report_refusal,
)
from billing.wiring.container import books, deadline
from billing.wiring.stripe import gateway

STOP_MS: Final = 20_000
"""No message and no event is started with less time left than this: its
deadline and its last call must fit (tests/repo computes the sum).
"""
SWEEP_STOP_MS: Final = 40_000
"""Holds are swept first, but only until this much time is left for the parked
events.
"""
Record = Mapping[str, Any]


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Settle the events in a batch from SQS, or do the work of each minute.

    That work retries parked events (stored until they can be settled), and
    ends expired holds and lots (units of one purchase or grant). For a batch,
    it returns the messages that failed: SQS delivers only these again
    (ReportBatchItemFailures). Otherwise it returns counts.
    """
    logger.append_keys(request_id=str(getattr(context, "aws_request_id", "")))
    left_ms = getattr(
        context, "get_remaining_time_in_millis", lambda: 10 * STOP_MS
    )
    try:
        if "Records" in event:
            failed = _settle_messages(
                event["Records"], lambda: left_ms() > STOP_MS
            )
            return {
                "batchItemFailures": [
                    {"itemIdentifier": message_id} for message_id in failed
                ]
            }
        return _run_schedule(left_ms)
    finally:
        if metrics.metric_set:
            metrics.flush_metrics()


def _settle_messages(
    records: Sequence[Record], go_on: Callable[[], bool]
) -> list[str]:
    """Settle Stripe's events in SQS messages, while ``go_on()`` is true.

    Returns the ids of the messages that SQS must deliver again: those that
    failed, and those for which no time was left.
    """
    unsettled, left = [], 0
    for record in records:
        if not go_on():
            left += 1
        elif _settle_message(record["body"]):
            continue
        unsettled.append(record["messageId"])
    if left:
        logger.warning("out of time: messages come again", left=left)
    return unsettled


def _settle_message(body: str) -> bool:
    """Settle the event in one SQS message, and return whether that is done.

    An event that cannot be settled yet is parked, that is stored for later,
    and counts as done. If it is not done, SQS delivers the message again, and
    after several tries moves it to the dead-letter queue.
    """
    try:
        event = fact_queue.event_in(body)
        fact = fact_queue.read_message(body) if event is None else None
    except (ValueError, KeyError, TypeError):
        logger.exception("a message that cannot be read stays in the queue")
        return False
    name = fact.fact_id if fact else str((event or {}).get("id"))[:100]
    deadline().begin()
    try:
        if fact is None:
            _settle_event(event or {})
        else:
            _settle(fact, is_news=False)
    except RetryableError:
        logger.exception("a message stays in the queue", event_id=name)
        return False
    except Exception:  # noqa: BLE001 - it must not send the other messages back
        logger.exception(
            "a message stays in the queue: internal error", event_id=name
        )
        count("internal_errors")
        return False
    return True


def _settle_event(event: Mapping[str, Any]) -> None:
    """Settle an event in the form in which Stripe sent it, or ignore it.

    To settle it is to write its effect to our tables. It is ignored, counted
    and logged if it is malformed, not ours or of no interest.
    """
    fact = events.parse(event, books().ours)
    if isinstance(fact, Ignored):
        count(fact.metric)
        logger.info(
            "ignored", reason=fact.reason, event_id=str(event.get("id"))[:100]
        )
        return
    _settle(fact, is_news=True)


def _settle(fact: Fact, *, is_news: bool) -> None:
    """Write what a Stripe event reports to our tables, and log the outcome.

    ``fact`` is the parsed event. ``is_news`` is true for an event that comes
    directly from Stripe. Only then are its outcome and age counted as
    metrics.
    """
    outcome = settlement.apply(books(), fact)
    if is_news:
        count_outcome(outcome.status, outcome.units, fact.created)
    ids: dict[str, Any] = {}
    if payment := outcome.payment:
        ids = {
            "payment_id": payment.payment_id,
            "session_id": payment.session_id,
        }
    logger.info(
        outcome.status,
        event_id=fact.fact_id,
        type=fact.type,
        units=outcome.units,
        **ids,
    )


def _run_schedule(left_ms: Callable[[], int]) -> dict[str, Any]:
    swept = 0
    try:
        swept = hold_sweep.sweep_holds(
            books(), lambda: left_ms() > SWEEP_STOP_MS
        )
    finally:  # a failing sweep must not stop the parked events
        done = retry_parked.run(
            books(), gateway(), lambda: left_ms() > STOP_MS, _report
        )
        count("parked_age_seconds", done.oldest_seconds if done.waiting else 0)
        logger.info(
            "recovered",
            settled=done.settled,
            waiting=done.waiting,
            left=done.left,
            swept=swept,
        )
    return {
        "settled": done.settled,
        "waiting": done.waiting,
        "left": done.left,
        "swept_holds": swept,
    }


def _report(record: Parked, error: Exception) -> None:
    """Log why a retry did not settle a parked event, which stays stored.

    If a later run would fail in the same way, a metric counts it too.
    """
    event_id = record.fact.fact_id
    if isinstance(error, StripeRefusedError):
        report_refusal(error, event_id=event_id)
    elif isinstance(error, AwsRefusedError):
        logger.exception(
            "a parked event stays parked: internal error", event_id=event_id
        )
        count("internal_errors")
    else:
        logger.warning(
            "a parked event stays parked",
            event_id=event_id,
            why=f"{type(error).__name__}: {error}",
        )
