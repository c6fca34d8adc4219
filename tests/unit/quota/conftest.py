"""Fixtures that tests of balances share."""

import pytest
from support.quota_rows import World


@pytest.fixture
def world() -> World:
    """Alice's account as rows: a new one."""
    return World()
