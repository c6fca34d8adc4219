"""Moves the clock of the Lambda functions on the local stack, without any change to their code.

Python imports a module of this name at its start, from any folder of ``PYTHONPATH``. The embedded
AWS is started with this folder there (ministack.py), and its functions inherit it. Nothing of this
is under functions/ or in template.yaml, so no stack that is deployed has the code path.
https://docs.python.org/3/library/site.html#module-sitecustomize

Only ``billing.clock.utc_now`` moves. It decides when units and holds expire, and when the day or
month of a limit ends. Deadlines, signatures, tokens, telemetry and tracing read Python's own
clocks, and stay on real time.
"""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

VARIABLE: Final = "CLOCK_OFFSET_FILE"
"""The environment variable that names the file with the offset in seconds. The Stripe simulator
writes the file.
"""
MODULE: Final = "billing.clock"


class _Finder(MetaPathFinder):
    """An import hook: makes ``billing.clock`` load with a clock that tests can move.

    All other modules load as usual.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads ``billing.clock``, and replaces its ``utc_now`` by a clock that tests can move.

    This happens before another module can import the original.
    """

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.utc_now = moved(module.utc_now, os.environ[VARIABLE])  # type: ignore[attr-defined]


def moved(real: Callable[[], datetime], file: str | os.PathLike[str]) -> Callable[[], datetime]:
    """Return a clock that is ahead of ``real`` by the seconds in ``file``.

    The file is read at each call, which takes 20 us.
    """

    def utc_now() -> datetime:
        return real() + timedelta(seconds=_offset_seconds(file))

    return utc_now


def _offset_seconds(file: str | os.PathLike[str]) -> int:
    """Return the seconds in ``file``, or 0 without a file: the clock was never moved."""
    with suppress(FileNotFoundError), open(file, "rb") as found:  # noqa: PTH123 - of text or path
        return int(found.read())
    return 0


if VARIABLE in os.environ:
    sys.meta_path.insert(0, _Finder())
