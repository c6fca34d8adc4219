"""Fixtures that several folders share."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from stand import Stand, running

# Figures are bounded by count, not by time: a shared machine may be slow.
settings.register_profile("topup", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("topup")
os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")


@pytest.fixture(scope="session")
def stand() -> Iterator[Stand]:
    """One stand for all tests that need the whole product."""
    with running() as found:
        yield found
