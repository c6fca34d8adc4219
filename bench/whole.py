"""Measures time and memory of what reads whole books: ledger verification and reconciliation."""

import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

from billing.books import Books
from billing.reconciliation import run
from billing.reconciliation.job import Run
from billing.storage.reader import Page
from support import builders
from support.dynamo import dynoxide
from support.fakes.stripe_twin import Stripe

from bench import crowds
from bench.rows import Row
from infra.cli.books.verification import examine

GOAL: Final = 1.1
ENTRIES: Final = (2_000, 20_000, 200_000)
"""Ledger entries, with as many payments."""
ENTRIES_EACH: Final = 100
ROUNDS: Final = 3
LOOKED_THROUGH: Final = 40_000
"""Entries of the smaller books in a round, the same ones several times: what a moment of theirs
takes depends on the moment."""
SEGMENTS: Final = 4
ACCOUNTS: Final = (25_000, 75_000)
"""With one entry each: more than the readers keep in memory."""
ROWS: Final = (1_000, 4_000)
"""What the reconciler looks at, for its memory."""
PAGE: Final = 100


def verification() -> Iterator[Row]:
    """Measure `topup ledger verify` on a database. Its work must not grow faster than the books.

    The database's own processor time is not included. The number of pages shows its work.
    """
    books: dict[int, Books] = {}
    with dynoxide() as server:
        for entries in ENTRIES:
            tables = server.new_tables()
            crowds.fill_accounts(server, tables, entries // ENTRIES_EACH, ENTRIES_EACH)
            books[entries] = builders.books_on(server.store(tables))
        rounds = [
            {entries: _examined(books[entries], entries) for entries in ENTRIES}
            for _ in range(ROUNDS)
        ]
    for entries in ENTRIES[1:]:
        for number, what in enumerate(("CPU", "pages")):
            ratio = statistics.median(
                found[entries][number] / found[ENTRIES[0]][number] for found in rounds
            )
            yield Row(
                "growth",
                f"verify the ledger, {what} an entry: {entries:,} to {ENTRIES[0]:,} entries",
                ratio,
                "x",
                GOAL,
            )
    peaks = {count: _peak(partial(_judged, _generated(count), count)) for count in ACCOUNTS}
    yield _grown("verify the ledger", "accounts", peaks)


def _examined(books: Books, entries: int) -> tuple[float, float]:
    """CPU seconds of the command and the pages that it read, for each entry."""
    before, times = time.process_time(), max(1, LOOKED_THROUGH // entries)
    pages = sum(_judged(books, entries // ENTRIES_EACH) for _ in range(times))
    return (time.process_time() - before) / entries / times, pages / entries / times


def _judged(books: Books, accounts: int) -> int:
    """Returns how many pages it read."""
    pages: list[int] = []

    def note(steps: int = 1, *, now: str = "") -> None:
        del now
        pages.append(steps)

    found = examine(books, SEGMENTS, note)
    assert (found.accounts, found.findings, found.busy) == (accounts, [], []), found
    return len(pages)


def _generated(accounts: int) -> Books:
    """Books whose rows are made as they are read, so that only the reader's own memory counts."""
    made: Mapping[str, Callable[[str], dict[str, Any]]] = {
        "ledger": lambda user: {
            "user_id": user,
            "type": "funded",
            "units": 100,
            "reference_type": "payment",
            "booked_at": "2026",
        },
        "payments": lambda user: {
            "user_id": user,
            "owner": f"user#{user}",
            "phase": 5,
            "quota": 100,
            "units_clawed_back": 0,
            "payment_intent": "",
        },
        "quotas": lambda user: {"user_id": user, "item": "quota", "total": 100, "remaining": 100},
    }

    def scan(table: str, segment: int, segments: int, after: dict[str, Any] | None) -> Page:
        if table not in made:
            return Page([], None)
        first = after["number"] if after else segment
        numbers = range(first, accounts, segments)[:PAGE]
        following = first + PAGE * segments
        return Page(
            [made[table](f"user-{number}") for number in numbers],
            {"number": following} if following < accounts else None,
        )

    return builders.books_on(
        SimpleNamespace(scan=scan, deadline=SimpleNamespace(begin=lambda: None))
    )


class _Listing(Stripe):
    """Lists a given number of sessions, made when they are read."""

    def __init__(self, count: int, made: Callable[[int], dict[str, Any]]) -> None:
        super().__init__()
        self._count = count
        self._made = made

    def sessions(self, since: int, after: str = "") -> dict[str, Any]:
        del since
        first = int(after.rpartition("_")[2]) + 1 if after else 0
        numbers = range(first, min(first + PAGE, self._count))
        return {
            "data": [self._made(number) for number in numbers],
            "has_more": first + PAGE < self._count,
        }

    def session(self, session_id: str) -> dict[str, Any]:
        return self._made(int(session_id.rpartition("_")[2]))


def _ours(number: int) -> dict[str, Any]:
    return builders.session(crowds.numbered(number))


def _anothers(number: int) -> dict[str, Any]:
    return {
        "id": f"cs_test_{number:08d}",
        "mode": "payment",
        "livemode": False,
        "metadata": {"of": "another shop"},
        "url": "x" * 2_000,
    }


def reconciliation_memory() -> Iterator[Row]:
    """Measure memory for known sessions, another shop's, and payments that no listing has shown."""
    with dynoxide() as server:
        known, unseen = server.new_tables(), server.new_tables()
        crowds.fill(server, known, ROWS[-1])
        crowds.fill_unseen(server, unseen, ROWS[-1])
        for what, tables, made in (
            ("sessions, ours", known, _ours),
            ("sessions, another shop's", known, _anothers),
        ):
            yield _grown(
                "a reconciliation", what, _listed(builders.books_on(server.store(tables)), made)
            )
        books = builders.books_on(server.store(unseen))
        peaks = {
            count: _peak(partial(_run, books, _Listing(0, _ours), count // PAGE + 3))
            for count in ROWS
        }
        yield _grown("a reconciliation", "paid payments that no listing has shown", peaks)


def _listed(books: Books, made: Callable[[int], dict[str, Any]]) -> dict[int, int]:
    return {
        count: _peak(partial(_run, books, _Listing(count, made), count // PAGE + 2))
        for count in ROWS
    }


def _run(books: Books, stripe: Stripe, pages: int) -> None:
    """Run ``pages``: one of refunds, one of disputes, the others of sessions or our records."""
    left = iter(range(pages))

    def go_on() -> bool:
        # what the collector has not come to yet is not counted: cycles of a page's calls, old
        # before it looks
        gc.collect()
        return next(left, None) is not None

    job = Run(books, stripe, repair=False, go_on=go_on, resumes=False)  # type: ignore[arg-type]
    report = run.run(job, 0)
    assert not report.counts, report


def _peak(act: Callable[[], object]) -> int:
    """Peak memory in bytes, of the smaller of two runs: in the first, caches fill."""
    usual, peaks = gc.get_threshold(), []
    gc.set_threshold(50)  # what the collector has not come to yet is not counted
    for _ in range(2):
        gc.collect()
        tracemalloc.start()
        act()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    gc.set_threshold(*usual)
    return min(peaks)


def _grown(who: str, what: str, peaks: Mapping[int, int]) -> Row:
    small, large = peaks
    return Row(
        "growth",
        f"memory of {who}: {large:,} to {small:,} {what}",
        peaks[large] / peaks[small],
        "x",
        GOAL,
    )
