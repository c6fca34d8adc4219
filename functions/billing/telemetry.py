"""Logs one line a request, and counts the metrics of one fixed list.

Logs and metrics have no secrets, bodies, tokens or users' ids, because some issuers use e-mail
addresses as ids. They have only Stripe's ids, our own ids and fixed words.
"""

import os
import time
from typing import Any, Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from billing.errors import StripeRefusedError

METRICS: Final = {
    "settled": "events that moved units, or a payment to paid",
    "recorded": "events recorded without moving units",
    "duplicate": "events that were settled before",
    "ignored": "events not ours or not of interest",
    "unreadable": "events with an unknown schema: money may have moved",
    "parked": "events kept for a retry or for an operator",
    "clawed_back_units": "units taken back after refunds and disputes",
    "refused_signatures": "deliveries that were not Stripe's",
    "refused_debits": "debits and holds for want of units",
    "stripe_refused": "requests that Stripe refused for good: a key, an amount, a parameter",
    "outcome_unknown": "requests whose outcome is unknown at the deadline, answered 5xx",
    "internal_errors": "requests that failed with an internal error",
    "reconcile_differences": "differences between Stripe and the books",
    "parked_age_seconds": "age of the oldest parked event, also of those that wait for an operator",
    "events_delivered": "events out that their receiver took",
    "events_retried": "tries to deliver an event out that failed",
    "events_dead": "events out that were given up after 72 hours, or refused for good",
    "settle_latency_seconds": "from Stripe's event to the settled payment",
}
"""The complete list of metrics, and what each counts."""

logger = Logger(service=os.environ.get("POWERTOOLS_SERVICE_NAME", "topup"))
metrics = Metrics(
    namespace=os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Topup"),
    service=os.environ.get("POWERTOOLS_SERVICE_NAME", "topup"),
)


def count(name: str, value: int = 1) -> None:
    """Add ``value`` to a metric. The metric must be in METRICS."""
    assert name in METRICS, f"{name} is not a metric of ours"  # noqa: S101 - our own invariant
    metrics.add_metric(
        name=name,
        unit=MetricUnit.Seconds
        if name.endswith("_seconds")
        else MetricUnit.Count,
        value=value,
    )


def report_refusal(error: StripeRefusedError, **ids: Any) -> None:
    """Count and log a request that Stripe would refuse again.

    ``ids`` identify the request in the log.
    """
    count("stripe_refused")
    logger.error("stripe refused", stripe=dict(error.refusal), **ids)


def count_outcome(status: str, units: int, created: int) -> None:
    """Count the outcome of one of Stripe's events in our metrics.

    ``status`` is the metric to count. If ``units`` is negative, they are
    counted as taken back from the customer. For ``settled`` (booked), the
    seconds since ``created`` are recorded too: the epoch second at which
    Stripe created the event.
    """
    count(status)
    if units < 0:
        count("clawed_back_units", -units)
    if status == "settled":
        count("settle_latency_seconds", max(0, int(time.time()) - created))
