"""Measures the same operations on accounts with ten, ten thousand and a million payments."""

import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from billing.reconciliation import pages
from billing.reconciliation.job import Cursor, Run
from billing.reconciliation.report import Report
from support import builders
from support.dynamo import Dynoxide
from support.fakes.stripe_twin import Stripe

from bench import crowds, lots, whole
from bench.rows import Row
from bench.stage import Stage, stage

SIZES: Final = (10, 10_000, 1_000_000)
ROUNDS: Final = 60
GOAL: Final = 1.1
PAGE: Final = 100
_numbers: Final = itertools.count(1)


def rows() -> Iterator[Row]:
    """Compare each operation's time and calls on larger histories with those on the smallest."""
    with stage() as on:
        assert isinstance(on.dynamo, Dynoxide)
        made = {size: on.dynamo.new_tables() for size in SIZES}
        for size, tables in made.items():
            crowds.fill(on.dynamo, tables, size)
        yield from _operations(on, made)
    yield from lots.compared()
    yield from whole.verification()
    yield from whole.reconciliation_memory()


def _operations(on: Stage, made: Mapping[int, Mapping[str, str]]) -> Iterator[Row]:
    for name, act in OPERATIONS.items():
        seconds: dict[int, list[float]] = {size: [] for size in SIZES}
        moved: dict[int, tuple[float, ...]] = {}
        for _ in range(ROUNDS):
            for size in random.sample(SIZES, len(SIZES)):  # the first one runs on a colder machine
                _use(on, made[size])
                prepared = act(on)
                with on.tap.counting() as traffic:
                    began = time.perf_counter()
                    prepared()
                    seconds[size].append(time.perf_counter() - began)
                moved[size] = (traffic.dynamo, traffic.read_units, traffic.write_units)
        for size in SIZES[1:]:
            ratio = statistics.median(
                large / small for large, small in zip(seconds[size], seconds[SIZES[0]], strict=True)
            )
            yield Row("growth", f"{name}: {size:,} to {SIZES[0]}, time", ratio, "x", GOAL)
            yield Row(
                "growth",
                f"{name}: {size:,} to {SIZES[0]}, calls and capacity units more",
                _more(moved[size], moved[SIZES[0]]),
                "units",
                0,
            )


def _more(large: tuple[float, ...], small: tuple[float, ...]) -> float:
    return sum(abs(one - other) for one, other in zip(large, small, strict=True))


def _use(on: Stage, tables: Mapping[str, str]) -> None:
    """As warm as a container that has served this stack before."""
    on.books.store._tables = tables


def _settle(on: Stage) -> Callable[[], object]:
    number = next(_numbers)
    payment = builders.pending(
        on.books, crowds.USER, payment_id=f"pay_new_{number}", session_id=f"cs_test_new_{number}"
    )
    event = builders.completed(payment)
    on.deliver({**event, "type": "ping"})  # secrets are read, as in any container that is warm
    return lambda: on.deliver(event)


def _debit(on: Stage) -> Callable[[], object]:
    body = {"user_id": crowds.USER, "units": 1}
    on.call("POST", "/quota/debits", "backend", body)
    return lambda: on.call("POST", "/quota/debits", "backend", body)


def _page(on: Stage, phase: str) -> Callable[[], object]:
    """Return a run of one page: of Stripe's sessions, or of our records that no listing has shown.

    The page has the same number of rows whatever the history.
    """
    stripe = Stripe()
    stripe.rows_a_page = PAGE
    for number in range(crowds.FRESH):
        stripe.sell(crowds.numbered(number) if phase == "sessions" else crowds.fresh(number), 1)
    job = Run(on.books, stripe, repair=False, resumes=False)  # type: ignore[arg-type]
    report = Report()

    def page() -> None:
        pages.look_at_page(job, Cursor(0, phase), report)
        assert report.matched + len(stripe.asked_for) >= crowds.FRESH
        assert not report.counts

    return page


OPERATIONS: Final[Mapping[str, Callable[[Stage], Callable[[], object]]]] = {
    # What writes comes last, so that the others find the number of payments that the row names.
    "a page of reconciliation, our own records": lambda on: _page(on, "ours"),
    "a page of reconciliation, Stripe's sessions": lambda on: _page(on, "sessions"),
    "read the quota": lambda on: lambda: on.call("GET", "/quota", crowds.USER),
    "list payments": lambda on: lambda: on.call("GET", "/payments", crowds.USER),
    "list the ledger": lambda on: lambda: on.call("GET", "/quota/ledger", crowds.USER),
    "debit": _debit,
    "settle": _settle,
}
