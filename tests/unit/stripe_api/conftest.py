"""Fixtures of tests that ask a server in Stripe's place."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from support.stripe_wire import Wire, served


@pytest.fixture(scope="module")
def server() -> Iterator[SimpleNamespace]:
    """One for all tests of a file."""
    with served() as place:
        yield place


@pytest.fixture
def wire(server: SimpleNamespace) -> Wire:
    """Nothing has come."""
    server.wire = Wire(server.url)
    made: Wire = server.wire
    return made
