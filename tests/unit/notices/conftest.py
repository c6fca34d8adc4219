"""Fixtures of events out."""

from collections.abc import Iterator

import pytest
from support.raw_receivers import Serve, serving


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start receivers, and stop them at the end."""
    with serving() as start:
        yield start
