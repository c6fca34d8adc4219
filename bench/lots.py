"""Measures reads and debits on an account with one lot and on one with a thousand."""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Final

from billing.clock import epoch, utc_now
from billing.grants import api
from billing.grants.grant import Grant

from bench.rows import Row
from bench.stage import Stage, stage

SIZES: Final = (1, 1_000)
UNITS: Final = 10**6
ROUNDS: Final = 60
GOAL: Final = 1.3
OPERATIONS: Final[Mapping[str, Callable[[Stage, str], object]]] = {
    "read the quota": lambda on, user: on.call("GET", "/quota", user),
    "debit": lambda on, user: on.call(
        "POST", "/quota/debits", "backend", {"user_id": user, "units": 1}
    ),
}


def compared() -> Iterator[Row]:
    """Compare the account with a thousand lots with the one that has one."""
    with stage() as on:
        for size in SIZES:
            _give(on, _user(size), size)
        for name, act in OPERATIONS.items():
            yield from _compare(on, name, act)


def _user(size: int) -> str:
    return f"lots-{size}"


def _give(on: Stage, user: str, number: int) -> None:
    """Grants that expire one after another, from tomorrow on."""
    for minutes in range(number):
        on.books.store.deadline.begin()
        expires = utc_now() + timedelta(days=1, minutes=minutes)
        api.give(on.books, Grant(f"{user}-{minutes}", user, UNITS, "bench", epoch(expires)))


def _compare(on: Stage, name: str, act: Callable[[Stage, str], object]) -> Iterator[Row]:
    seconds: dict[int, list[float]] = {size: [] for size in SIZES}
    calls: dict[int, int] = {}
    for _ in range(ROUNDS):
        for size in random.sample(SIZES, len(SIZES)):
            act(on, _user(size))
            with on.tap.counting() as traffic:
                began = time.perf_counter()
                act(on, _user(size))
                seconds[size].append(time.perf_counter() - began)
            calls[size] = traffic.dynamo
    few, many = SIZES
    pairs = zip(seconds[many], seconds[few], strict=True)
    ratio = statistics.median(large / small for large, small in pairs)
    yield Row("growth", f"{name}: {many:,} lots to {few}, time", ratio, "x", GOAL)
    more = calls[many] - calls[few]
    yield Row("growth", f"{name}: {many:,} lots to {few}, calls more", more, "calls", 0)
