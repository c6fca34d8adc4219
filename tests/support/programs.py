"""Tools that only some tests need: where one is missing they are skipped, and on a machine that
must have it they fail.
"""

import os
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """Skip the test for this reason; fail where CI is set, as in .ci/run, which has installed
    everything.
    """
    if os.environ.get("CI"):
        pytest.fail(f"nothing may be skipped here, and {reason}", pytrace=False)
    pytest.skip(reason)
