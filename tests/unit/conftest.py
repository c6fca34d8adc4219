"""Fixtures that most unit tests share."""

import pytest
from support.builders import Clock


@pytest.fixture
def clock() -> Clock:
    """Advanced by the tests."""
    return Clock()
