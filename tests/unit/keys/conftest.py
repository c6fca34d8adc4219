"""Fixtures that tests of keys share."""

import pytest
from support.fakes.scripted_store import Scripted
from support.key_world import World


@pytest.fixture
def store() -> Scripted:
    """Empty."""
    return Scripted()


@pytest.fixture
def world(store: Scripted) -> World:
    """Alice has bought 100 units."""
    return World(store)
