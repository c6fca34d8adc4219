"""Real DynamoDB APIs, started once for the folder."""

from collections.abc import Iterator

import pytest
from support import dynamo
from support.dynamo import Dynamo


@pytest.fixture(scope="session")
def ministack() -> Iterator[Dynamo]:
    """The embedded AWS."""
    with dynamo.ministack() as server:
        yield server


@pytest.fixture(scope="session")
def dynoxide() -> Iterator[Dynamo]:
    """The one on disk."""
    with dynamo.dynoxide() as server:
        yield server


@pytest.fixture(scope="session", params=["ministack", "dynoxide"])
def database(request: pytest.FixtureRequest) -> Dynamo:
    """One after the other."""
    found: Dynamo = request.getfixturevalue(request.param)
    return found
