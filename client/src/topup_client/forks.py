"""Keeps a forked child from using its parent's connections, threads and units."""

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """Something that starts anew in a child."""

    def after_fork(self) -> None:
        """Called in the child, where no other thread runs."""


_all: "WeakSet[Forkable]" = WeakSet()


def register(one: Forkable) -> None:
    """From now on ``one`` hears of forks, for as long as it lives."""
    _all.add(one)


def _tell() -> None:
    for one in list(_all):
        one.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_tell)
