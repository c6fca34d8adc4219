"""Measures one hot account: concurrent debits and leases while purchases settle, with conflicts.

Each thread is a container of the product, with its own deadline of 8 seconds and its own memory.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from billing.spending import debits
from support import builders
from support.dynamo import Dynamo, contents, dynoxide, ministack
from support.laws import check
from topup_client import Lease, Meter

from bench import conflicts
from bench.conflicts import Wire
from bench.rows import Row
from bench.shop import USER, Direct, Shop, opened

CROWD: Final = 64
CROWDS: Final = (8, 32, 64)
"""Concurrent containers, with conflicts."""
DEBITS: Final = 768
PURCHASES: Final = 8
LEASES: Final = 8
LEASED_EACH: Final = 100_000
SPARE: Final = 4
"""Purchases of 10 000 units left at the end for each lease: of a small rest, leases are small.
"""


def rows() -> Iterator[Row]:
    """Measure plain and keyed debits, first without and then with conflicts; then leases."""
    for name, database in {"dynoxide": dynoxide, "ministack": ministack}.items():
        with database() as dynamo:
            for kind in ("plain", "keyed"):
                yield from _crowd(
                    dynamo,
                    kind,
                    CROWD,
                    f"{kind} debits on {name}, {CROWD} containers",
                    has_conflicts=False,
                )
    with dynoxide() as dynamo:
        for kind in ("plain", "keyed"):
            for size in CROWDS:
                yield from _crowd(
                    dynamo,
                    kind,
                    size,
                    f"{kind} debits, {size} containers, with conflicts",
                    has_conflicts=True,
                )
        yield from _leases(dynamo)


def _crowd(
    dynamo: Dynamo, kind: str, size: int, name: str, *, has_conflicts: bool
) -> Iterator[Row]:
    with opened(dynamo) as shop, conflicts.wire(conflicts=has_conflicts) as wire:
        payments = [builders.pending(shop.books, USER) for _ in range(PURCHASES)]
        shop.settle(payments[0])
        with ThreadPoolExecutor(size) as pool, ThreadPoolExecutor(PURCHASES) as buyers:
            began = time.perf_counter()
            settling = [buyers.submit(shop.settle, payment) for payment in payments[1:]]
            list(pool.map(lambda number: shop.debit(kind, f"{name}-{number}"), range(DEBITS)))
            took = time.perf_counter() - began
            for one in settling:
                one.result()
        yield from _told(name, shop, wire, took)


def _told(name: str, shop: Shop, wire: Wire, took: float) -> Iterator[Row]:
    shop.books.store.deadline.begin()
    check(contents(shop.books.store))
    balance = debits.read(shop.books, USER)
    said = shop.said
    units = 100 * said["purchases"]
    yield Row(
        "hot",
        f"{name}: units lost or doubled",
        abs(balance.used - said["spent"]) + abs(balance.total - units),
        "units",
        0,
    )
    yield Row("hot", f"{name}: 5xx that stay", said["stays"], f"of {DEBITS}", 0)
    yield Row(
        "hot", f"{name}: answered 5xx and asked again", said["5xx"] - said["stays"], f"of {DEBITS}"
    )
    yield Row("hot", f"{name}: purchases brought again", said["brought again"], f"of {PURCHASES}")
    yield Row("hot", f"{name}: refused for want of units", said["refused"], f"of {DEBITS}")
    yield Row(
        "hot", f"{name}: writes turned away for a conflict", wire.turned_away["conflict"], "writes"
    )
    yield Row(
        "hot",
        f"{name}: writes turned away for a balance that had changed",
        wire.turned_away["condition"] - said["refused"],
        "writes",
    )
    yield Row("hot", f"{name}: done", said["spent"] / took, "a second")


def _leases(dynamo: Dynamo) -> Iterator[Row]:
    """Processes that spend one account's units from memory, each by a lease of its own."""
    name = f"{LEASES} leases of one account, with conflicts"
    units = LEASES * LEASED_EACH
    with (
        opened(dynamo) as shop,
        conflicts.wire(conflicts=True) as wire,
        ThreadPoolExecutor(LEASES) as pool,
    ):
        for _ in range(units // 10_000 + SPARE * LEASES):
            shop.settle(builders.pending(shop.books, USER, "enterprise"))
        began = time.perf_counter()
        list(pool.map(lambda _: _spend(shop), range(LEASES)))
        took = time.perf_counter() - began
        shop.books.store.deadline.begin()
        check(contents(shop.books.store))
        used = debits.read(shop.books, USER).used
    yield Row(
        "hot", f"{name}: units used more or less than were spent", abs(used - units), "units", 0
    )
    yield Row(
        "hot",
        f"{name}: units a call of the service",
        units / shop.said["calls"],
        "units",
        1000,
        "at least",
    )
    yield Row(
        "hot", f"{name}: writes turned away for a conflict", wire.turned_away["conflict"], "writes"
    )
    yield Row(
        "hot",
        f"{name}: writes turned away for a balance that had changed",
        wire.turned_away["condition"],
        "writes",
    )
    yield Row("hot", f"{name}: done", units / took, "a second")


def _spend(shop: Shop) -> None:
    with Lease(
        Meter("https://topup.example.com", "a-token", transport=Direct(shop)), USER
    ) as lease:
        for _ in range(LEASED_EACH):
            lease.debit()
