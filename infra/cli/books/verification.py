"""Verifies that the stored figures of all accounts agree.

It adds up each account's rows in all tables, and checks for example that the ledger adds up to the
balance.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from billing.audit.readings import TABLES, disagreeing_payments, settled_tally
from billing.audit.tallies import Tallies
from billing.audit.tally import Difference
from billing.books import Books
from billing.storage.writes import Table
from rich.console import RenderableType

from infra.cli.output import Bar, table
from infra.cli.tallies import ACCOUNTS_IN_MEMORY_MAX, TallyFile, tally_file

SHOWN_MAX: Final = 100
PAYMENTS_NAMED_MAX: Final = 5
DIFFERENCE: Final = ("user_id", "rule", "expected", "found", "payments")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Holds the result of checking that all accounts balance.

    An account balances if its payments, ledger entries and balance agree. ``findings`` are the
    differences. ``busy`` are accounts that changed while they were read, so they are not judged.
    """

    accounts: int
    units: int
    findings: list[dict[str, Any]]
    busy: list[str]

    def as_answer(self) -> dict[str, Any]:
        """Return the result of the verification as a dictionary, ready for JSON.

        It has the first hundred differences, the number of all, and as ``not_judged`` the accounts
        that kept changing.
        """
        return {
            "accounts": self.accounts,
            "ledger_units": self.units,
            "differences": self.findings[:SHOWN_MAX],
            "difference_count": len(self.findings),
            "not_judged": self.busy,
        }

    def shown(self) -> RenderableType:
        """Return the result as tables for the terminal."""
        verdict = f"{len(self.findings)} differences" if self.findings else "the books balance"
        title = f"{self.accounts} accounts, {self.units} units in the ledger: {verdict}"
        if not self.findings:
            return title
        rows = [[*_cells(row)] for row in self.findings[:SHOWN_MAX]]
        return table(title, DIFFERENCE, rows)


def _cells(row: dict[str, Any]) -> Iterator[object]:
    for name in DIFFERENCE[:-1]:
        yield row[name]
    yield ", ".join(row["payments"])


def examine(books: Books, segments: int, bar: Bar) -> Verdict:
    """Verify the stored figures of all accounts, and return the result.

    An account whose figures disagree in the first reading is read again, because a concurrent
    change may be the reason. Each table is divided into ``segments`` parts, which are read at the
    same time. ``bar`` shows the progress.
    """
    with tally_file() as tallies:
        read_all(books, segments, bar, tallies)
        findings, busy = judged(books, tallies, bar)
        return Verdict(tallies.accounts, tallies.units, findings, busy)


def read_all(books: Books, segments: int, bar: Bar, into: TallyFile) -> None:
    """Read every table in concurrent segments, and add up the rows of each account.

    The sums (tallies) of all readers go into one file.
    """

    def read(job: tuple[Table, int]) -> None:
        _segment(books, job[0], job[1], segments, bar, into)

    with ThreadPoolExecutor(segments) as pool:
        list(pool.map(read, product(TABLES, range(segments))))


def judged(books: Books, tallies: TallyFile, bar: Bar) -> tuple[list[dict[str, Any]], list[str]]:
    """Read again each account whose rows disagreed at the first reading.

    They disagree if, for example, the ledger's sum is not the balance, perhaps only because the
    account changed meanwhile. ``tallies`` has each account's sums from the first reading. Returns
    the differences that remain, and the user ids of accounts that kept changing.
    """
    findings: list[dict[str, Any]] = []
    busy: list[str] = []
    for user_id in sorted(tallies.suspects()):
        bar(now=f"reading again {user_id}")
        tally = settled_tally(books.store, user_id)
        if tally is None:
            busy.append(user_id)
        elif differences := list(tally.differences(user_id)):
            findings += _with_payments(books, user_id, differences)
    return findings, busy


def _with_payments(
    books: Books, user_id: str, differences: list[Difference]
) -> list[dict[str, Any]]:
    payments = list(disagreeing_payments(books.store, user_id))[:PAYMENTS_NAMED_MAX]
    return [row.as_answer() | {"payments": payments} for row in differences]


def _segment(  # noqa: PLR0917 - what each reader needs
    books: Books, name: Table, segment: int, segments: int, bar: Bar, into: TallyFile
) -> None:
    tallies, after = Tallies(), None
    while True:
        if len(tallies) > ACCOUNTS_IN_MEMORY_MAX:
            into.take(tallies)
        books.store.deadline.begin()
        page = books.store.scan(name, segment, segments, after)
        for item in page.items:
            tallies.add(name, item)
        bar(len(page.items))
        if (after := page.after) is None:
            into.take(tallies)
            return
