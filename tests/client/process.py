"""A process of a seller's API, for tests: spends one customer's units through a lease and prints
what it served, as JSON lines.

``python process.py <api_url> <token> <user_id> <size> <what>``; ``what`` is ``all``, ``fork``, a
number of units after which it waits to be killed, or ``together`` or ``together async``: spends a
unit, says so, and goes on when it is told to. ``slowly N`` spends one unit in N seconds, holds what
it spends in ten times as long, and says when each was asked for and when one was refused.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

from topup_client import AsyncLease, AsyncMeter, Lease, Meter, QuotaExhausted

REFUSALS_IN_A_ROW = 3
"""Others may hold the last units for a moment and give them back: ask again before giving up."""


def spends(lease: Lease) -> int:
    """Until the customer has nothing left."""
    served = refusals = 0
    while refusals < REFUSALS_IN_A_ROW:
        try:
            lease.debit()
        except QuotaExhausted:
            refusals += 1
            time.sleep(0.2)  # as long as the lease remembers a refusal
        else:
            served, refusals = served + 1, 0
            time.sleep(0.001)  # so that all of the processes get their share
    return served


async def spends_awaiting(api_url: str, token: str, user_id: str, terms: Any) -> int:
    """The same on a loop, with four calls at once, and never closed: the interpreter's exit does
    that.
    """
    lease, served = AsyncLease(AsyncMeter(api_url, token), user_id, **terms), 1
    await lease.debit()
    says(ready=True)
    await asyncio.to_thread(sys.stdin.readline)

    async def calls() -> None:
        nonlocal served
        refusals = 0
        while refusals < REFUSALS_IN_A_ROW:
            try:
                await lease.debit()
            except QuotaExhausted:
                refusals += 1
                await asyncio.sleep(0.2)
            else:
                served, refusals = served + 1, 0
                await asyncio.sleep(0.001)

    await asyncio.gather(*(calls() for _ in range(4)))
    return served


def spends_slowly(lease: Lease, seconds: float) -> None:
    """At a steady rate, from the moment it is told to, until a call is refused."""
    says(ready=True)
    sys.stdin.readline()
    began = time.monotonic()
    for number in range(1, 1000):
        asked_at = time.monotonic()
        try:
            lease.debit()
        except QuotaExhausted:
            says(refused_at=time.monotonic())
            return
        says(asked_at=asked_at)
        time.sleep(max(0, began + number * seconds - time.monotonic()))


def says(**said: object) -> None:
    """One line, at once."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def main(api_url: str, token: str, user_id: str, size: str, what: str) -> None:
    """Spend."""
    # Whoever is to be killed or stopped waits for an expiry; the others must outlast a machine that
    # has much else to do.
    times = (
        {"lifetime_seconds": 8, "margin_seconds": 3}
        if what.isdigit()
        else {"lifetime_seconds": 90, "margin_seconds": 45}
    )
    terms: Any = {"size": int(size), "ahead_seconds": None, "refusal_seconds": 0.2, **times}
    if what.startswith("slowly"):
        seconds = float(what.split()[1])
        terms = {"ahead_seconds": 10 * seconds}
        with Lease(Meter(api_url, token), user_id, **terms) as lease:
            spends_slowly(lease, seconds)
        return
    if what == "together async":
        says(served=asyncio.run(spends_awaiting(api_url, token, user_id, terms)))
        return
    with Lease(Meter(api_url, token), user_id, **terms) as lease:
        if what.isdigit():
            for _ in range(int(what)):
                lease.debit()
            says(served=int(what), left=lease.left)
            sys.stdin.read()  # until it is killed
        if what == "fork":
            lease.debit()  # a hold is there, of which the child must not spend
            child = os.fork()
            says(served=spends(lease) + bool(child))
            if not child:
                lease.close()
                os._exit(0)
            os.waitpid(child, 0)
        elif what == "together":
            lease.debit()
            says(ready=True)
            sys.stdin.readline()
            says(served=1 + spends(lease))
        else:
            says(served=spends(lease))


if __name__ == "__main__":
    main(*sys.argv[1:])
