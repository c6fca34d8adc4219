"""Workers that spend one customer's units, each by a lease of its own, on a clock moved by hand."""

import random
from collections.abc import Iterator

from client.conftest import Seconds
from support.builders import Clock
from topup_client import KeyLimitReached, Lease, Meter, QuotaExhausted
from topup_client.keeper import Keeper

Calls = Iterator[tuple[float, int]]
"""When each call comes, in seconds from the start, and to which worker."""


def evenly(workers: int, a_second: float) -> Calls:
    """Each worker is called at the same rate, one after the other."""
    number = 0
    while True:
        yield number / (workers * a_second), number % workers
        number += 1


def at_random(workers: int, a_second: float, seed: int) -> Calls:
    """As customers come: at this rate in the long run, in bursts and with pauses."""
    chance, now = random.Random(seed), 0.0
    while True:
        now += chance.expovariate(workers * a_second)
        yield now, chance.randrange(workers)


class Crowd:
    """Workers with a lease each, and the calls that come to them."""

    def __init__(
        self,
        backend: Meter,
        seconds: Seconds,
        clock: Clock,
        workers: int,
        key_id: str | None = None,
    ) -> None:
        """Nothing is fetched yet."""
        self._seconds, self._clock = seconds, clock
        self._began = seconds()
        self.leases = [
            Lease(backend, "alice", key_id, keeper=Keeper(0, seconds), clock=seconds)
            for _ in range(workers)
        ]

    def served(self, calls: Calls) -> int:
        """Return how many calls are served before the first is refused."""
        for number, (when, worker) in enumerate(calls):
            self._pass_until(self._began + when)
            try:
                self.leases[worker].debit()
            except (QuotaExhausted, KeyLimitReached):
                return number
        raise AssertionError("calls never end")

    def close(self) -> None:
        """Give back what is left."""
        for lease in self.leases:
            lease.close()

    def _pass_until(self, when: float) -> None:
        """Time passes, and each keeper does its work when it is due."""
        while True:
            dues = [due for lease in self.leases if (due := lease.tend()) is not None]
            now = self._seconds()
            step = min([when, *(due for due in dues if due > now)])
            self._clock.advance(microseconds=round(1_000_000 * (step - now)))
            if step >= when:
                return
