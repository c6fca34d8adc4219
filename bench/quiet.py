"""Runs handlers in the stack's environment without their logs and metrics, which go to stdout."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from billing.telemetry import logger, metrics


@contextmanager
def quiet(environment: Mapping[str, str], level: str = "ERROR") -> Iterator[None]:
    """For as long as this lasts. Figures are dropped where they would be printed.

    Switched off by POWERTOOLS_METRICS_DISABLED they would pile up, and every hundredth be printed
    all the same.
    """
    before, usual = dict(os.environ), logger.log_level
    os.environ.update(environment)
    logger.setLevel(level)
    metrics.flush_metrics = metrics.clear_metrics  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        metrics.clear_metrics()
        del metrics.flush_metrics
        logger.setLevel(usual)
        os.environ.clear()
        os.environ.update(before)
