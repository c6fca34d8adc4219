"""Compares Stripe with our payments, and corrects them after missed events.

It runs each hour and on demand. The input ``{"since_hours": 24, "repair":
false}`` compares and writes nothing.
"""

import os
import sys
from collections.abc import Mapping
from typing import Any, Final

from billing.clock import epoch
from billing.errors import StripeRefusedError
from billing.reconciliation import run
from billing.reconciliation.job import Run
from billing.reconciliation.report import Report
from billing.telemetry import count, logger, metrics, report_refusal
from billing.wiring.container import books, deadline
from billing.wiring.stripe import gateway

STOP_MS: Final = 30_000
"""No object is compared with less time left than this: its calls and the write
of the cursor must fit (tests/repo computes the sum).
"""
PAGES_MAX: Final = 1000
NAMED_MAX: Final = 5


class IncompleteReconciliationError(Exception):
    """Raised if some rows, or some of Stripe's lists, could not be compared.

    All the others have been compared by then: this error is raised last, so
    that Lambda counts an error and an alarm fires.
    """

    def __init__(self, report: Report) -> None:
        """Build the message, which names the first objects not compared."""
        named = [
            f"{row.stripe_id or row.payment_id} {row.detail}".strip()
            for row in report.differences
            if row.kind == "failed"
        ]
        super().__init__(
            f"{report.failed} not compared: {'; '.join(named[:NAMED_MAX])}"
        )


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Compare Stripe with our payments, and return the report.

    Payments, refunds and disputes that we missed are booked, unless the input
    says ``"repair": false``. ``finished`` in the report is false if the next
    run has to continue. Raises IncompleteReconciliationError at the end if
    something could not be compared.
    """
    logger.append_keys(request_id=str(getattr(context, "aws_request_id", "")))
    hours = event.get(
        "since_hours", int(os.environ.get("RECONCILE_HOURS", "720"))
    )
    pages = iter(range(PAGES_MAX))
    left = getattr(
        context, "get_remaining_time_in_millis", lambda: 10 * STOP_MS
    )
    deadline().begin()
    now = epoch(books().clock())
    job = Run(
        books(),
        gateway(),
        bool(event.get("repair", True)),
        go_on=lambda: next(pages, None) is not None,
        has_time=lambda: left() > STOP_MS,
        failed=_report,
    )
    report = run.run(job, now - int(hours) * 3600)
    _count(report)
    if report.failed:
        raise IncompleteReconciliationError(report)
    return report.as_answer()


def _count(report: Report) -> None:
    """Log the report and count its differences.

    A run in which nothing could be compared is not counted, so that
    ReconcileMissingAlarm fires.
    """
    if report.compared or not report.failed:
        count("reconcile_differences", report.differing)
    logger.info(
        "reconciled",
        matched=report.matched,
        repaired=report.repaired,
        finished=report.finished,
        counts=report.counts,
    )
    if metrics.metric_set:
        metrics.flush_metrics()


def _report(name: str) -> None:
    """Log an object or list at Stripe, ``name``, that could not be compared.

    It is called while the exception is handled. If Stripe has refused the
    request for good, a metric counts that too.
    """
    logger.exception("not compared", what=name)
    if isinstance(error := sys.exception(), StripeRefusedError):
        report_refusal(error, what=name)
