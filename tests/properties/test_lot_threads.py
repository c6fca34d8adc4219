"""Many threads act on one account whose lots live for a second, on real DynamoDB APIs."""

import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import pytest
from billing.account import lot_listing
from billing.clock import epoch, utc_now
from billing.errors import BillingError
from billing.expiry import upkeep
from billing.grants import api
from billing.grants.grant import Grant
from billing.holds import closing, placing
from billing.lots import burning
from billing.quota.lot_rows import read as read_lots
from billing.spending import debits
from billing.spending.meter import Meter
from properties.crowd import at_once, check_laws
from support import builders
from support.deadlines import CountedDeadline
from support.dynamo import Contents, Dynamo

DATABASES: Final = pytest.mark.parametrize("database", ["dynoxide", "ministack"], indirect=True)
USER: Final = "alice"
GRANTS: Final = 40
UNITS: Final = 7
ACTS: Final = 400


def _grant(meter: Meter, number: int) -> object:
    """Units for one second, or for two."""
    expires_at = epoch(meter.books.clock()) + 1 + number % 2
    grant = Grant(f"grant_{number}", USER, UNITS, "why", expires_at)
    return api.give(meter.books, grant)


def _debit(meter: Meter, number: int) -> object:
    return debits.debit(meter, USER, 1 + number % 3)


def _debit_once(meter: Meter, number: int) -> object:
    return debits.debit_once(meter, USER, 1 + number % 3, "backend", str(number))


def _hold(meter: Meter, number: int) -> object:
    """Captured in part, released, or left to expire."""
    hold_id = placing.place(meter, USER, 3, 1).hold_id
    if number % 3 == 0:
        return closing.capture(meter, hold_id, 2)
    return number % 3 == 1 and closing.release(meter, hold_id)


def _read(meter: Meter, _: int) -> object:
    shown = lot_listing.read_quota(meter.books, USER)
    assert min(shown.remaining, shown.used, shown.held, shown.debt) >= 0
    assert not shown.expires_next or shown.expires_next.units > 0
    return shown


def _act(act: Callable[[Meter, int], object], meter: Meter, number: int) -> object:
    """Whether or not there are units, the hold is still open, or the grant is in time."""
    with suppress(BillingError):
        return act(meter, number)
    return None


@DATABASES
def test_sixty_four_threads_use_or_lose_each_unit_of_lots_that_live_a_second(
    database: Dynamo,
) -> None:
    """None is spent after its time, none expires twice, and none is lost without an entry."""
    store = database.store(deadline=CountedDeadline())
    books = builders.books_on(store, clock=utc_now)  # type: ignore[arg-type]
    books.store.deadline.begin()
    meter = Meter(books, "")
    chance = random.Random(1)
    grants = [partial(_act, _grant, meter, number) for number in range(GRANTS)]
    others = [
        partial(_act, chance.choice((_debit, _debit_once, _hold, _read)), meter, number)
        for number in range(ACTS)
    ]
    acts = [*grants, *others]
    chance.shuffle(acts)
    answers = at_once(store, acts)
    given = sum(1 for answer in answers if isinstance(answer, dict))
    store.deadline.begin()
    while (balance := upkeep.bring_up_to_date(books, USER)).remaining or balance.held:
        store.deadline.begin()
    found = check_laws(store)
    entries = _by_type(found)
    assert entries["granted"] == given * UNITS > 0
    assert balance.used - balance.itemised == entries["granted"] + entries.get("expired", 0)
    rows = read_lots(books, USER, balance)
    assert sum(lot.left for lot in burning.burn(rows.rows, rows.to_burn).lots) == 0


def _by_type(found: Contents) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in found.tables["ledger"].values():
        sums[row["type"]] = sums.get(row["type"], 0) + row["units"]
    return sums
