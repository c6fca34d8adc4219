"""Many threads take an account over its thresholds, on real DynamoDB APIs: each is crossed once."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import pytest
from billing.clock import utc_now
from billing.holds import placing
from billing.quota.balance import read_account
from billing.settings import Telling
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from properties.crowd import at_once, check_laws
from support import builders, crossings
from support.crossings import USER, Charges
from support.deadlines import CountedDeadline
from support.dynamo import Dynamo
from support.tapped_wire import tap

DATABASES: Final = pytest.mark.parametrize("database", ["dynoxide", "ministack"], indirect=True)
UNITS: Final = 1000
LOW_AT: Final = 600
WHEN_BELOW: Final = 300


def _bought(database: Dynamo, charges: Charges) -> Meter:
    """An account with 1000 units, on which events go out and charges are made."""
    books = replace(
        builders.books_on(database.store(deadline=CountedDeadline())),
        clock=utc_now,
        telling=Telling(is_on=True, low_at=LOW_AT),
        top_ups=charges,
    )
    books.store.deadline.begin()
    settlement.apply(books, builders.fact(builders.completed(builders.pending(books, USER, "pro"))))
    crossings.agree(books, when_below=WHEN_BELOW)
    return Meter(books, "")


def _acts(meter: Meter, most: int) -> list[Callable[[], object]]:
    """Debits, keyed debits and holds that take all units together, by chance."""
    chance, left = random.Random(most), UNITS
    acts: list[Callable[[], object]] = []
    while left:
        units = min(left, chance.randint(1, most))
        left -= units
        acts.append(partial(chance.choice((_debit, _debit_once, _hold)), meter, units, str(left)))
    return acts


def _debit(meter: Meter, units: int, _: str) -> object:
    return debits.debit(meter, USER, units)


def _debit_once(meter: Meter, units: int, key: str) -> object:
    return debits.debit_once(meter, USER, units, "backend", key)


def _hold(meter: Meter, units: int, _: str) -> object:
    return placing.place(meter, USER, units, 3600)


@DATABASES
@pytest.mark.parametrize("most", [1, 40], ids=["one unit each", "up to 40 units each"])
def test_sixty_four_threads_cross_each_threshold_once(database: Dynamo, most: int) -> None:
    """One event each, one charge, and a sequence without a gap."""
    charges = Charges()
    meter = _bought(database, charges)
    at_once(meter.books.store, _acts(meter, most))
    found = check_laws(meter.books.store)
    kinds = ["payment.completed", "quota.low", "quota.depleted"]
    assert crossings.types(found) == kinds
    assert [event["sequence"] for event in crossings.events(found)] == [1, 2, 3]
    assert len(crossings.opened(found)) == 1
    assert charges.hurried == [USER]
    low, depleted = (event["data"]["remaining"] for event in crossings.events(found)[1:])
    assert LOW_AT - most <= low < LOW_AT
    assert depleted == 0
    meter.books.store.deadline.begin()
    assert read_account(meter.books.store, USER).remaining == 0


@DATABASES
def test_a_debit_that_crosses_nothing_is_one_request_and_one_write_unit(database: Dynamo) -> None:
    """With an own threshold, an agreement, and events out; the account was seen before."""
    meter = _bought(database, Charges())
    debits.debit(meter, USER, 1)
    wire = tap(meter.books)
    debits.debit(meter, USER, 1)
    assert wire.operations == ["UpdateItem"]
    assert wire.units == 1


@DATABASES
def test_a_debit_that_crosses_is_one_transaction(database: Dynamo) -> None:
    """After one read of the agreement, where charges are made."""
    meter = _bought(database, Charges())
    debits.debit(meter, USER, 400)
    wire = tap(meter.books)
    debits.debit(meter, USER, 1)
    debits.debit(meter, USER, 300)
    assert wire.operations == ["TransactWriteItems", "GetItem", "TransactWriteItems"]
