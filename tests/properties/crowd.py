"""Many concurrent threads on one store, each as a function's container of its own; whatever one of
them raises is raised.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from billing.quota.balance import Balance
from billing.spending import memory
from billing.storage.dynamodb import Store
from pytest import MonkeyPatch  # noqa: PT013 - a type here, not a call
from support import dynamo, laws


class PerThread(dict[str, Balance]):
    """What a container remembers between requests: threads do not share it, as
    containers do not.
    """

    def __init__(self) -> None:
        """Nothing is remembered."""
        super().__init__()
        self._own = threading.local()

    def _mine(self) -> dict[str, Balance]:
        found: dict[str, Balance] = self._own.__dict__.setdefault("seen", {})
        return found

    def __len__(self) -> int:
        """Of this thread."""
        return len(self._mine())

    def __setitem__(self, name: str, balance: Balance) -> None:
        """For this thread."""
        self._mine()[name] = balance

    def pop(self, name: str, default: Any = None) -> Any:
        """From this thread."""
        return self._mine().pop(name, default)


def at_once(store: Store, acts: Sequence[Callable[[], Any]], threads: int = 64) -> list[Any]:
    """Run every act, ``threads`` at a time, the first of them together.

    Returns what they returned, in their order.
    """
    start = threading.Barrier(min(threads, len(acts)))

    def run(number: int, act: Callable[[], Any]) -> Any:
        if number < start.parties:
            start.wait()
        store.deadline.begin()
        return act()

    with MonkeyPatch.context() as patch, ThreadPoolExecutor(threads) as pool:
        patch.setattr(memory, "_seen", PerThread())
        return [
            future.result()
            for future in [pool.submit(run, number, act) for number, act in enumerate(acts)]
        ]


def check_laws(store: Store) -> dynamo.Contents:
    """The contract's laws on everything that is there, read back."""
    found = dynamo.contents(store)
    laws.check(found)
    return found
