"""Each minute, and for every message of the queue: parked facts are tried again, expired holds are given back.

The queue holds what could not be settled when it came, and, where StripeEventBus is set, every event as Stripe sends it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from billing.errors import AwsRefusedError, RetryableError, StripeRefusedError
from billing.facts import Fact
from billing.payments import fact_queue, settlement
from billing.payments.parking import Parked
from billing.reconciliation import retry_parked
from billing.stripe_api import events
from billing.stripe_api.events import Ignored
from billing.telemetry import count, count_outcome, logger, metrics, report_refusal
from billing.wiring.container import books, deadline
from billing.wiring.stripe import gateway

STOP_MS: Final = 20_000
"""No message and no fact begins with less than this left: its deadline and its last call must fit
(tests/repo holds the sum)."""
SWEEP_STOP_MS: Final = 40_000
"""Holds are swept first, and leave this to the parked facts."""
Record = Mapping[str, Any]


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """SQS messages are answered one by one (ReportBatchItemFailures); anything else is the schedule."""
    logger.append_keys(request_id=str(getattr(context, "aws_request_id", "")))
    left_ms = getattr(context, "get_remaining_time_in_millis", lambda: 10 * STOP_MS)
    try:
        if "Records" in event:
            failed = _unsettled(event["Records"], lambda: left_ms() > STOP_MS)
            return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
        return _scheduled(left_ms)
    finally:
        if metrics.metric_set:
            metrics.flush_metrics()


def _unsettled(records: Sequence[Record], go_on: Callable[[], bool]) -> list[str]:
    """The messages that must come again: those that could not be settled, and those that time did not suffice for."""
    unsettled, left = [], 0
    for record in records:
        if not go_on():
            left += 1
        elif _is_safe(record["body"]):
            continue
        unsettled.append(record["messageId"])
    if left:
        logger.warning("out of time: messages come again", left=left)
    return unsettled


def _is_safe(body: str) -> bool:
    """The fact is settled, or parked where the schedule finds it.

    Otherwise SQS keeps it, and in the end its dead-letter queue.
    """
    try:
        event = fact_queue.event_in(body)
        fact = fact_queue.read_message(body) if event is None else None
    except (ValueError, KeyError, TypeError):
        logger.exception("a message that says nothing we know stays in the queue")
        return False
    name = fact.fact_id if fact else str((event or {}).get("id"))[:100]
    deadline().begin()
    try:
        if fact is None:
            _hear(event or {})
        else:
            _settle(fact, is_news=False)
    except RetryableError:
        logger.exception("a message stays in the queue", event_id=name)
        return False
    except Exception:  # noqa: BLE001 - the last line of defence: one message's fault must not send all the others back with it
        logger.exception("a message stays in the queue by a fault of ours", event_id=name)
        count("internal_errors")
        return False
    return True


def _hear(event: Mapping[str, Any]) -> None:
    """An event as Stripe sent it."""
    fact = events.parse(event, books().ours)
    if isinstance(fact, Ignored):
        count("ignored")
        logger.info("ignored", reason=fact.reason, event_id=str(event.get("id"))[:100])
        return
    _settle(fact, is_news=True)


def _settle(fact: Fact, *, is_news: bool) -> None:
    """``is_news``: it comes from Stripe, and nobody has counted it yet."""
    outcome = settlement.apply(books(), fact)
    if is_news:
        count_outcome(outcome.status, outcome.units, fact.created)
    ids: dict[str, Any] = (
        {"payment_id": outcome.payment.payment_id, "session_id": outcome.payment.session_id}
        if outcome.payment
        else {}
    )
    logger.info(outcome.status, event_id=fact.fact_id, type=fact.type, units=outcome.units, **ids)


def _scheduled(left_ms: Callable[[], int]) -> dict[str, Any]:
    swept = 0
    try:
        swept = retry_parked.sweep_holds(books(), lambda: left_ms() > SWEEP_STOP_MS)
    finally:  # whatever keeps holds from being swept must not keep facts from being settled
        done = retry_parked.run(books(), gateway(), lambda: left_ms() > STOP_MS, _report)
        count("parked_age_seconds", done.oldest_seconds if done.waiting else 0)
        logger.info(
            "recovered", settled=done.settled, waiting=done.waiting, left=done.left, swept=swept
        )
    return {
        "settled": done.settled,
        "waiting": done.waiting,
        "left": done.left,
        "swept_holds": swept,
    }


def _report(record: Parked, error: Exception) -> None:
    """Log why a parked fact waits on, and count what no later run can change."""
    event_id = record.fact.fact_id
    if isinstance(error, StripeRefusedError):
        report_refusal(error, event_id=event_id)
    elif isinstance(error, AwsRefusedError):
        logger.exception("a parked fact waits by a fault of ours", event_id=event_id)
        count("internal_errors")
    else:
        logger.warning(
            "a parked fact waits on", event_id=event_id, why=f"{type(error).__name__}: {error}"
        )
