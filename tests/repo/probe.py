"""Run in an interpreter of its own: imports handlers, and says what a snapshot of it would hold
that no two containers may share.

``python probe.py FOLDER MODULE ...`` prints a JSON list of findings. Lambda takes its snapshot when
the handlers have been imported:
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""

import gc
import importlib
import json
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Final

READINGS: Final = frozenset(
    {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "now", "utcnow", "today"}
    | {"urandom", "random", "getrandbits", "seed", "uuid4", "connect"}
)
"""Functions of C that read a clock or chance, or connect."""
KEPT: Final = frozenset(
    {
        "botocore.session.Session",
        "botocore.client.BaseClient",
        "boto3.session.Session",
        "pynamodb.connection.base.Connection",
    }
    | {
        "stripe._stripe_client.StripeClient",
        "aws_lambda_powertools.utilities.parameters.base.BaseProvider",
    }
    | {
        "socket.socket",
        "ssl.SSLContext",
        "urllib3.connectionpool.ConnectionPool",
        "botocore.credentials.Credentials",
    }
    | {
        "billing.settings.Settings",
        "billing.deadline.Deadline",
        "billing.storage.dynamodb.Store",
        "billing.stripe_api.client.Gateway",
        "billing.books.Books",
    }
)
"""Clients, connections, credentials, secrets, settings and deadlines."""


class Watch:
    """Sees every call into C that our own modules cause while they are imported; what libraries do
    for themselves is theirs.
    """

    def __init__(self, folder: str) -> None:
        """``folder``: where our modules are."""
        self.folder = folder
        self.found: set[str] = set()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """As sys.setprofile calls it."""
        if event != "c_call" or argument.__name__ not in READINGS:
            return
        place: FrameType | None = frame
        while place is not None and not place.f_code.co_filename.startswith("<frozen importlib"):
            if place.f_code.co_filename.startswith(self.folder):
                caller = place.f_code.co_filename.rpartition("/")[2]
                self.found.add(f"{argument.__qualname__} is called by {caller}")
                return
            place = place.f_back


def _is_ours(file: str, folder: str) -> bool:
    """A handler or a part of the package billing.

    In an artifact libraries stand beside them: what those remember is the same anywhere.
    """
    return Path(file).parent in (Path(folder), Path(folder) / "billing")


def _cached(folder: str) -> set[str]:
    """Functions of ours that remember something already."""
    ours = [
        module
        for module in list(sys.modules.values())
        if _is_ours(getattr(module, "__file__", None) or "", folder)
    ]
    found = (
        (name, value)
        for module in ours
        for name, value in vars(module).items()
        if hasattr(value, "cache_info")
    )
    return {f"{name} remembers an answer" for name, value in found if value.cache_info().currsize}


def _kept() -> set[str]:
    """Objects that live and should not."""
    names = (
        {f"{kind.__module__}.{kind.__qualname__}" for kind in type(thing).__mro__} & KEPT
        for thing in gc.get_objects()
    )
    return {f"there is a {name}" for several in names for name in several}


def main() -> None:
    """Import, look, tell."""
    folder, modules = sys.argv[1], sys.argv[2:]
    sys.path.insert(0, folder)
    watch = Watch(folder)
    sys.setprofile(watch)
    for module in modules:
        importlib.import_module(module)
    sys.setprofile(None)
    sys.stdout.write(json.dumps(sorted(watch.found | _cached(folder) | _kept())))


if __name__ == "__main__":
    main()
