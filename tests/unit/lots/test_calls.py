"""What lots cost: calls to DynamoDB, however many lots an account has, and whatever has expired."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from billing.account import lot_listing
from billing.errors import BillingError
from billing.holds import placing
from billing.payments.plan import Plan
from billing.spending import debits, memory
from support import builders
from support.lot_account import PRICE, USER, LotAccount

DAY = 86_400
MANY = 1_000


@pytest.fixture
def alice() -> LotAccount:
    """Nothing is bought yet."""
    return LotAccount()


def _calls(account: LotAccount, act: Callable[[], Any]) -> int:
    before = account.store.calls
    act()
    return account.store.calls - before


def _debit(account: LotAccount, units: int = 1) -> Callable[[], Any]:
    return lambda: debits.debit(account.meter, USER, units)


def _later(account: LotAccount, seconds: int) -> None:
    account.clock.now += timedelta(seconds=seconds)


def test_a_debit_with_nothing_due_is_one_request_that_writes_one_row(alice: LotAccount) -> None:
    """Also in a container that has not seen the account."""
    alice.grants(5, DAY)
    alice.spends(1)
    rows = len(alice.store.tables["quotas"])
    assert _calls(alice, _debit(alice)) == 1
    memory._seen.clear()
    assert _calls(alice, _debit(alice)) == 1
    assert len(alice.store.tables["quotas"]) == rows


@pytest.mark.parametrize("number", [1, 30])
def test_a_debit_after_an_expiry_is_two_calls(alice: LotAccount, number: int) -> None:
    """It lets go of the lots and takes its units in one transaction, however many lots it was."""
    alice.buys(10)
    for _ in range(number):
        alice.grants(2, DAY)
    alice.spends(1)
    _later(alice, DAY)
    memory.remember(USER, alice.stored())
    if alice.stored().use_day < str(alice.clock.now)[:10]:
        alice.store.tables["quotas"][USER, "quota"]["use_day"] = "2099-01-01"
    assert _calls(alice, _debit(alice)) == 2
    assert alice.balance().remaining == 9


def test_a_lot_that_expired_is_no_way_to_be_refused_what_remains(alice: LotAccount) -> None:
    """And what is refused says what remains without it."""
    alice.buys(3)
    alice.grants(5, DAY)
    _later(alice, DAY)
    with pytest.raises(BillingError) as refused:
        debits.debit(alice.meter, USER, 4)
    assert refused.value.members["remaining"] == 3
    assert alice.spends(3)


@pytest.mark.parametrize(("days", "most"), [(0, 1), (2, 3)])
def test_settling_a_plan_is_one_call_and_at_most_three_where_it_expires(
    alice: LotAccount, days: int, most: int
) -> None:
    alice.buys(5, 1)
    alice.spends(2)
    plan = Plan("p", "P", "P", 5 * PRICE, "usd", 5, days)
    payment = builders.pending(alice.books, USER, sold=plan)
    event = builders.completed(payment)
    assert _calls(alice, lambda: alice.hears(event)) <= most


def _costs(account: LotAccount) -> Iterator[int]:
    """Of a debit, a read, a keyed debit and a hold."""
    yield _calls(account, _debit(account))
    yield _calls(account, lambda: lot_listing.read_quota(account.books, USER))
    yield _calls(account, lambda: debits.debit_once(account.meter, USER, 1, "b", "k"))
    yield _calls(account, lambda: placing.place(account.meter, USER, 2, 60))


def test_reads_and_debits_cost_the_same_with_a_thousand_lots() -> None:
    costs = []
    for number in (1, MANY):
        account = LotAccount()
        for day in range(number):
            account.grants(9, DAY + day)
        account.spends(1)
        costs.append(list(_costs(account)))
    assert costs[0] == costs[1]
