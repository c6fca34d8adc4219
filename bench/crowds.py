"""Fills tables with millions of payments and ledger entries.

The product itself writes the first of them. Copies go straight into the local database's file while
it is stopped, because a million through its API would take half an hour.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from itertools import islice
from typing import Final

from billing import deployment
from billing.audit.readings import TABLES
from billing.books import Books
from billing.clock import stamp
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.settlement import settlement
from billing.storage.keys import user_key
from billing.storage.writes import Write
from support import builders
from support.dynamo import Dynoxide

USER: Final = "alice"
ONE_OF_MANY: Final = "cust-00000000"
NUMBER: Final = "_00000000"
FIRST: Final = (f"pay{NUMBER}", f"cs_test{NUMBER}")
AT_ONCE: Final = 20_000
FRESH: Final = 10
"""Payments beside the copies that no reconciliation has seen at Stripe yet."""
UNITS: Final = catalogue()["starter"].quota
Rename = Callable[[str, int], str]


def fill(server: Dynoxide, tables: Mapping[str, str], count: int) -> None:
    """Make one purchase by the product's own code, then ``count`` copies with their ledger entries.

    All of them belong to one account.
    """
    books = builders.books_on(server.store(tables))
    named = {"deployment": builders.DEPLOYMENT}
    books.store.commit(*(Write(table, deployment.KEY, set=named) for table in deployment.TABLES))
    _buy(books, *FIRST)
    books.store.commit(
        Write("payments", (user_key(USER), FIRST[0]), remove=("unseen",))
    )  # the copies are no news to reconciliation
    with _stopped(server) as file:
        _copy(file, tables["payments"], count, _renumbered, only="S:pay_")
        for table in (tables["ledger"], f"{tables['ledger']}::lsi::by_time"):
            _copy(file, table, count, _renumbered)
        _set_units(file, tables["quotas"], UNITS * count)
    for number in range(FRESH):
        _buy(books, *fresh_names(number))


def fill_accounts(
    server: Dynoxide, tables: Mapping[str, str], accounts: int, entries_each: int
) -> None:
    """Make accounts with payments and ledger entries, and an index for the scans.

    Without the index this database sorts at every scan.
    """
    books = builders.books_on(server.store(tables))
    _buy(books, *FIRST, user_id=ONE_OF_MANY)

    def of_account(cell: str, number: int) -> str:
        return _renumbered(cell.replace(ONE_OF_MANY, f"cust-{number // entries_each:08d}"), number)

    with _stopped(server) as file:
        _set_units(file, tables["quotas"], UNITS * entries_each)
        _copy(
            file,
            tables["quotas"],
            accounts,
            lambda cell, number: cell.replace(ONE_OF_MANY, f"cust-{number:08d}"),
        )
        for table in (tables["payments"], tables["ledger"]):
            _copy(file, table, accounts * entries_each, of_account)
        for table in TABLES:
            file.execute(
                f'CREATE INDEX "scan_{tables[table]}" ON "{tables[table]}" (hash_prefix, pk, sk)'
            )


def fill_unseen(server: Dynoxide, tables: Mapping[str, str], count: int) -> None:
    """As many paid payments that no listing of Stripe's has shown."""
    _buy(builders.books_on(server.store(tables)), *FIRST)
    with _stopped(server) as file:
        for table in (tables["payments"], f"{tables['payments']}::gsi::unseen"):
            _copy(file, table, count, _renumbered)


def numbered(number: int) -> Payment:
    """The payment that is the copy of that number."""
    return _named(f"pay_{number:08d}", f"cs_test_{number:08d}")


def fresh(number: int) -> Payment:
    """A payment that no reconciliation has seen yet."""
    return _named(*fresh_names(number))


def fresh_names(number: int) -> tuple[str, str]:
    """Ids of payment and session, older than the copies' so that no list shows them."""
    return f"pay_0_fresh_{number}", f"cs_test_fresh_{number}"


def _named(payment_id: str, session_id: str) -> Payment:
    return replace(
        Payment.of(catalogue()["starter"], payment_id, USER, stamp(builders.START)),
        session_id=session_id,
    )


def _buy(books: Books, payment_id: str, session_id: str, user_id: str = USER) -> None:
    books.store.deadline.begin()
    payment = builders.pending(books, user_id, payment_id=payment_id, session_id=session_id)
    assert settlement.apply(books, builders.fact(builders.completed(payment))).status == "settled"


@contextmanager
def _stopped(server: Dynoxide) -> Iterator[sqlite3.Connection]:
    """The database's file, without concurrent access."""
    server.kill()
    file = sqlite3.connect(server.file)
    file.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
    yield file
    file.commit()
    file.close()
    server.start()


def _copy(file: sqlite3.Connection, table: str, count: int, rename: Rename, only: str = "") -> None:
    """Copy the rows of the first purchase under other names.

    Their order in a scan is by a hash of the key, like in DynamoDB.

    ``only``: rows with a key that begins so.
    """
    columns = [row[1] for row in file.execute(f'PRAGMA table_info("{table}")')]
    rows = [
        row
        for row in file.execute(f'SELECT * FROM "{table}"')
        if any(str(cell).startswith(only) for cell in row)
    ]
    hashed = columns.index("hash_prefix") if "hash_prefix" in columns else None
    sql = f'INSERT OR IGNORE INTO "{table}" VALUES ({", ".join("?" * len(columns))})'
    copies = (_renamed(row, number, rename, hashed) for number in range(1, count) for row in rows)
    while batch := list(islice(copies, AT_ONCE)):
        file.executemany(sql, batch)
    file.commit()


def _renamed(
    row: tuple[object, ...], number: int, rename: Rename, hashed: int | None
) -> tuple[object, ...]:
    cells = [rename(cell, number) if isinstance(cell, str) else cell for cell in row]
    if hashed is not None:
        cells[hashed] = sha256(str(cells[0]).encode()).hexdigest()[:6]
    return tuple(cells)


def _renumbered(cell: str, number: int) -> str:
    return cell.replace(NUMBER, f"_{number:08d}")


def _set_units(file: sqlite3.Connection, quotas: str, units: int) -> None:
    """Of the one account that is there, beside the rows of its lots.

    What the lots' rows do not say is from before there were lots.
    """
    items = file.execute(f'SELECT item_json FROM "{quotas}"').fetchall()
    (account,) = [item for (item,) in items if '"remaining"' in item]
    figures = {name: {"N": str(units)} for name in ("remaining", "total")}
    more = json.dumps(json.loads(account) | figures)
    file.execute(f'UPDATE "{quotas}" SET item_json = ? WHERE item_json = ?', (more, account))
