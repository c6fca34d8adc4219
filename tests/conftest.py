"""Fixtures that several folders share."""

import os
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import botocore.session
import pytest
from hypothesis import HealthCheck, settings
from support.aws_models import validate_every_call
from support.stand import Stand, running
from xdist.scheduler import LoadScopeScheduling

from infra.local.paths import ROOT

# Figures are bounded by count, not by time: a shared machine may be slow.
settings.register_profile(
    "topup", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("topup")
os.environ.setdefault("POWERTOOLS_TRACE_DISABLED", "true")
# One reader of AWS's descriptions of its services for all sessions of a process: each would parse
# the same megabytes anew.
botocore.session.create_loader = cache(botocore.session.create_loader)
validate_every_call()

STANDS: Final = {
    "tests/e2e/test_rollback.py": "people",
    "tests/browser/": "people",
    "tests/ops/": "people",
    "tests/e2e/": "programs",
}
"""Whose tests need a stand, or stand beside such, by who uses it: two stands, because one worker
could use no more."""
LAST: Final = ("test_logs.py", "test_rollback.py")
"""One looks at what all others made the stand log, the other takes it apart."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for most first, and the last ones last."""
    items.sort(
        key=lambda item: (
            LAST.index(item.path.name) + 1 if item.path.name in LAST else 0,
            not _waits(item),
        )
    )


class ByStand(LoadScopeScheduling):  # type: ignore[misc] # xdist ships no types
    """For several workers: all that shares a stand goes to one of them, because a stand is large;
    every other file goes whole to any.

    Not by xdist's own groups: it writes them into a test's id, which pytest 9.2 does not let it.
    """

    def _split_scope(self, nodeid: str) -> str:
        """What goes together."""
        file = nodeid.partition("::")[0]
        group = next((group for place, group in STANDS.items() if file.startswith(place)), "")
        return group or ("programs" if "stand: Stand" in _text(file) else file)


@cache
def _text(file: str) -> str:
    return (ROOT / file).read_text()


def _waits(item: pytest.Item) -> bool:
    return str(item.path.relative_to(ROOT)).startswith(tuple(STANDS))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByStand:
    """Xdist asks for it, in the process that shares the tests out."""
    return ByStand(config, log)


@pytest.fixture(scope="session")
def stand() -> Iterator[Stand]:
    """One stand for all tests that need the whole product."""
    with running() as found:
        yield found
