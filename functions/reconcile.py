"""Each hour, and on demand: Stripe against the books. ``{"since_hours": 24, "repair": false}`` looks without touching."""

import os
from collections.abc import Mapping
from typing import Any, Final

from billing import reconciliation
from billing.runtime import books, patience
from billing.stripe_doors import gateway
from billing.telemetry import count, logger, metrics
from billing.times import epoch

STOP_MS: Final = 30_000
"""No page begins with less than this left: one page's calls and the cursor's write must fit."""
PAGES_MAX: Final = 1000


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Answers with the report; ``finished`` is false when the next run has to go on."""
    hours = event.get("since_hours", int(os.environ.get("RECONCILE_HOURS", "720")))
    pages = iter(range(PAGES_MAX))
    left = getattr(context, "get_remaining_time_in_millis", lambda: 10 * STOP_MS)

    def go_on() -> bool:
        return left() > STOP_MS and next(pages, None) is not None

    patience().begin()
    now = epoch(books().clock())
    job = reconciliation.Run(books(), gateway(), bool(event.get("repair", True)), go_on)
    report = reconciliation.run(job, now - int(hours) * 3600)
    count("reconcile_differences", sum(report.counts.values()))
    logger.info("reconciled", matched=report.matched, repaired=report.repaired, finished=report.finished, counts=report.counts)
    metrics.flush_metrics()
    return report.as_answer()
