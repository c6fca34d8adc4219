"""What the contract says of lots, a sentence each, on one account through the product."""

import copy
from datetime import timedelta

import pytest
from billing.account import lot_listing
from billing.audit.readings import settled_tally
from billing.clock import from_epoch
from billing.expiry import upkeep
from billing.reconciliation import hold_sweep
from support import builders, laws
from support.lot_account import PRICE, USER, LotAccount

DAY = 86_400


@pytest.fixture
def alice() -> LotAccount:
    """Nothing is bought yet."""
    return LotAccount()


def _later(account: LotAccount, seconds: int) -> None:
    account.clock.now += timedelta(seconds=seconds)


def _debt_and_rest(account: LotAccount) -> tuple[int, int]:
    shown = account.balance()
    laws.check(account.store)
    return shown.debt, shown.remaining


def test_units_burn_soonest_expiry_first_granted_before_bought_and_never_expiring_last(
    alice: LotAccount,
) -> None:
    never, late = alice.buys(1), alice.buys(1, days=2)
    first = alice.grants(1, 2 * DAY)
    early = alice.grants(1, DAY)
    order = [f"grant:{early}", f"grant:{first}"]
    order += [f"purchase:{payment.payment_id}:0000" for payment in (late, never)]
    assert list(alice.left()) == order
    for left in range(3, -1, -1):
        assert alice.spends(1)
        assert list(alice.left()) == order[4 - left :]


def test_from_the_second_of_its_expiry_a_unit_is_neither_shown_nor_spent(
    alice: LotAccount,
) -> None:
    """Whether or not a sweep has passed. One entry says so, once."""
    grant = alice.grants(5, DAY)
    _later(alice, DAY - 1)
    assert alice.balance().remaining == 5
    _later(alice, 1)
    assert _debt_and_rest(alice) == (0, 0)
    assert not alice.spends(1)
    for _ in range(2):
        hold_sweep.sweep_holds(alice.books)
        upkeep.bring_up_to_date(alice.books, USER)
    entries = alice.store.tables["ledger"]
    assert entries[USER, f"expired:grant:{grant}"]["units"] == -5
    assert [row["type"] for row in entries.values()].count("expired") == 1
    tally = settled_tally(alice.books.store, USER)
    assert tally
    assert list(tally.differences(USER)) == []


def test_the_sweep_lets_go_of_what_nobody_asks_for(alice: LotAccount) -> None:
    """Within the minute, by the index of what is due."""
    grant = alice.grants(5, DAY)
    _later(alice, DAY)
    assert hold_sweep.sweep_holds(alice.books) == 1
    assert (USER, f"expired:grant:{grant}") in alice.store.tables["ledger"]
    assert hold_sweep.sweep_holds(alice.books) == 0


def test_any_number_of_lots_expires_in_parts(alice: LotAccount) -> None:
    """More than one transaction can write."""
    for _ in range(101):
        alice.grants(2, DAY)
    assert alice.spends(3)
    _later(alice, DAY)
    assert _debt_and_rest(alice) == (0, 0)
    upkeep.bring_up_to_date(alice.books, USER)
    assert _debt_and_rest(alice) == (0, 0)
    gone = [
        row["units"] for row in alice.store.tables["ledger"].values() if row["type"] == "expired"
    ]
    assert (len(gone), sum(gone)) == (100, 3 - 202)


def test_what_came_in_later_never_pays_for_earlier_use(alice: LotAccount) -> None:
    """A lot that expires sooner does not burn for what was used before it came."""
    alice.buys(10)
    assert alice.spends(4)
    grant = alice.grants(5, DAY)
    assert alice.left()[f"grant:{grant}"] == 5


def test_debt_is_paid_first_and_the_rest_comes_in(alice: LotAccount) -> None:
    payment = alice.buys(5, days=1)
    assert alice.spends(5)
    alice.hears(builders.refunded(payment, 5 * PRICE))
    assert _debt_and_rest(alice) == (5, 0)
    grant = alice.grants(7, DAY)
    assert _debt_and_rest(alice) == (0, 2)
    assert alice.left() == {f"grant:{grant}": 2}


def test_a_refund_takes_from_its_own_lot_first(alice: LotAccount) -> None:
    """Not from the one that expires soonest."""
    other, payment = alice.buys(5, days=1), alice.buys(5, days=2)
    alice.hears(builders.refunded(payment, 3 * PRICE))
    left = alice.left()
    assert left[f"purchase:{other.payment_id}:0000"] == 5
    assert left[f"purchase:{payment.payment_id}:0000"] == 2


def test_what_expired_counts_as_taken_back_so_that_expiry_makes_no_debt(alice: LotAccount) -> None:
    payment = alice.buys(5, days=1)
    other = alice.buys(5)
    assert alice.spends(1)
    _later(alice, DAY + 1)
    alice.hears(builders.refunded(payment, 5 * PRICE))
    assert _debt_and_rest(alice) == (0, 4)
    assert alice.left() == {f"purchase:{other.payment_id}:0000": 4}
    stored = alice.store.tables["payments"][f"user#{USER}", payment.payment_id]
    assert (stored["units_clawed_back"], stored["units_expired"]) == (5, 4)


def test_a_refund_that_fails_gives_units_back_with_the_time_they_were_away(
    alice: LotAccount,
) -> None:
    payment = alice.buys(5, days=2)
    (before,) = [lot.expires_at for lot in alice.lots() if lot.left]
    alice.hears(builders.refund_created(payment, "re_1", 5 * PRICE))
    _later(alice, DAY)
    alice.hears(builders.refund(payment, "re_1", 5 * PRICE))
    shown = lot_listing.read_quota(alice.books, USER)
    assert shown.expires_next
    assert (shown.remaining, shown.expires_next.units) == (5, 5)
    assert shown.expires_next.at == from_epoch(before + DAY)


def test_units_in_an_open_hold_stay_with_it_and_what_it_gives_back_expires_then(
    alice: LotAccount,
) -> None:
    grant = alice.grants(5, DAY)
    hold = alice.holds_back(3)
    _later(alice, DAY)
    assert (alice.balance().remaining, alice.balance().held) == (0, 3)
    upkeep.bring_up_to_date(alice.books, USER)
    alice.ends_hold(hold, 1)
    shown = alice.balance()
    assert (shown.remaining, shown.held, shown.used, shown.debt) == (0, 0, 1, 0)
    expired = [
        row["units"]
        for (_, name), row in alice.store.tables["ledger"].items()
        if name.startswith(f"expired:grant:{grant}")
    ]
    assert sorted(expired) == [-2, -2]
    laws.check(alice.store)


def test_a_capture_takes_the_soonest_expiring_units_first(alice: LotAccount) -> None:
    early, late = alice.grants(2, DAY), alice.grants(2, 2 * DAY)
    alice.ends_hold(alice.holds_back(4), 3)
    assert alice.left() == {f"grant:{late}": 1}
    assert f"grant:{early}" not in alice.left()


def test_what_an_open_hold_has_of_a_voided_grant_is_void_when_it_comes_back(
    alice: LotAccount,
) -> None:
    grant = alice.grants(5)
    hold = alice.holds_back(2)
    assert (alice.voids(grant), alice.voids(grant)) == (3, 3)
    alice.ends_hold(hold, 1)
    assert (alice.balance().remaining, alice.balance().used) == (0, 1)
    tally = settled_tally(alice.books.store, USER)
    assert tally
    assert list(tally.differences(USER)) == []


def test_a_purchase_that_never_expires_is_settled_in_one_call_and_one_that_does_in_three(
    alice: LotAccount,
) -> None:
    for days, most in ((0, 1), (1, 3)):
        before = alice.store.calls
        alice.buys(5, days)
        of_the_checkout = 1
        assert alice.store.calls - before - of_the_checkout <= most


def test_lots_that_do_not_add_up_to_what_the_balance_says_are_found(alice: LotAccount) -> None:
    alice.grants(5, DAY)
    (key,) = [key for key in alice.store.tables["quotas"] if key[1].startswith("lot#")]
    del alice.store.tables["quotas"][key]
    tally = settled_tally(alice.books.store, USER)
    assert tally
    assert [row.found for row in tally.differences(USER)] == [5]


def test_a_lot_whose_entry_a_restore_has_kept_expires_all_the_same(alice: LotAccount) -> None:
    """The ledger is ahead of the balance: the units go, and no second entry is booked."""
    grant = alice.grants(5, DAY)
    before = copy.deepcopy(alice.store.tables["quotas"])
    _later(alice, DAY)
    upkeep.bring_up_to_date(alice.books, USER)
    alice.store.tables["quotas"] = before
    upkeep.bring_up_to_date(alice.books, USER)
    assert _debt_and_rest(alice) == (0, 0)
    assert alice.store.tables["ledger"][USER, f"expired:grant:{grant}"]["units"] == -5
