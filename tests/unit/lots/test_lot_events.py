"""What lots tell: units that were given, that will expire, and that have expired, once each."""

from datetime import timedelta
from typing import Any

import pytest
from billing.api.description.event_schemas import schema_of_event
from billing.settings import Telling
from support import laws
from support.lot_account import LotAccount

DAY = 86_400


@pytest.fixture
def alice() -> LotAccount:
    """Events go out; ``quota.low`` begins below five units."""
    return LotAccount(telling=Telling(is_on=True, low_at=5))


def _told(account: LotAccount, kind: str = "") -> list[dict[str, Any]]:
    """Events in their order."""
    rows = sorted(account.store.tables["notices"].values(), key=lambda row: row["notice"])
    assert [row["sequence"] for row in rows] == list(range(1, len(rows) + 1))
    for row in rows:
        needed = schema_of_event(row["type"])["properties"]["data"].get("required", [])
        assert set(needed) <= set(row["data"])
    laws.check(account.store)
    return [row for row in rows if kind in row["type"]]


def _kinds(account: LotAccount) -> list[str]:
    return [row["type"] for row in _told(account)]


def _days(account: LotAccount, days: float) -> None:
    account.clock.now += timedelta(days=days)
    account.is_swept()


def test_a_grant_and_the_welcome_are_told_with_their_lot(alice: LotAccount) -> None:
    grant = alice.grants(7, 3 * DAY)
    alice.welcomes(2)
    alice.welcomes(2)
    given, welcome = _told(alice)
    assert (given["type"], welcome["type"]) == ("units.granted", "units.granted")
    assert (given["data"]["reference_id"], given["data"]["left"]) == (grant, 7)
    assert (welcome["data"]["source"], welcome["data"]["expires_at"]) == ("welcome", None)


def test_an_expiry_is_told_once_with_the_thresholds_that_it_crosses(alice: LotAccount) -> None:
    alice.grants(7, DAY)
    _days(alice, 1)
    _days(alice, 1)
    assert _kinds(alice) == ["units.granted", "units.expired", "quota.low", "quota.depleted"]
    assert _told(alice, "expired")[0]["data"]["left"] == 0


def test_a_debit_that_lets_go_of_a_lot_tells_it_and_crosses_once(alice: LotAccount) -> None:
    """The expiry and the debit are one crossing."""
    alice.buys(6)
    alice.grants(7, DAY)
    alice.clock.advance(seconds=DAY)
    assert alice.spends(2)
    assert alice.balance().remaining == 4
    assert sorted(_kinds(alice)[-2:]) == ["quota.low", "units.expired"]
    assert _kinds(alice).count("quota.low") == 1


def test_units_are_told_to_expire_seven_days_and_one_day_before_once_each(
    alice: LotAccount,
) -> None:
    """With what is left of them then."""
    alice.grants(9, 10 * DAY)
    _days(alice, 2.9)
    assert not _told(alice, "expiring")
    _days(alice, 0.1)
    alice.spends(2)
    _days(alice, 1)
    (week,) = _told(alice, "expiring")
    assert (week["data"]["left"], week["data"]["units"]) == (9, 9)
    _days(alice, 5)
    _days(alice, 0.5)
    _, day = _told(alice, "expiring")
    assert day["data"]["left"] == 7
    _days(alice, 0.5)
    assert _kinds(alice)[-3:] == ["units.expired", "quota.low", "quota.depleted"]


def test_a_lot_that_lives_for_days_is_told_one_day_before_only(alice: LotAccount) -> None:
    alice.grants(9, 3 * DAY)
    _days(alice, 1)
    assert not _told(alice, "expiring")
    _days(alice, 1)
    _days(alice, 0.1)
    assert len(_told(alice, "expiring")) == 1


def test_units_that_were_used_are_not_told_to_expire(alice: LotAccount) -> None:
    """Nor are they looked at again each minute."""
    alice.buys(20)
    alice.grants(9, 10 * DAY)
    alice.spends(9)
    _days(alice, 4)
    _days(alice, 3)
    assert not _told(alice, "expir")
    calls = alice.store.calls
    alice.is_swept()
    assert alice.store.calls == calls, "the index alone is read, and no account"


def test_many_lots_are_told_in_parts(alice: LotAccount) -> None:
    for _ in range(45):
        alice.grants(1, 8 * DAY)
    _days(alice, 1)
    assert len(_told(alice, "expiring")) == 45
    _days(alice, 7)
    assert len(_told(alice, "units.expired")) == 45


def test_what_a_hold_gives_back_after_its_time_is_told_to_have_expired(
    alice: LotAccount,
) -> None:
    alice.buys(5)
    alice.grants(9, DAY)
    hold = alice.holds_back(9, DAY - 10)
    late = alice.holds_back(5, DAY - 5)
    alice.clock.advance(seconds=DAY - 20)
    assert alice.ends_hold(late, 1)
    alice.clock.advance(seconds=30)
    assert not alice.ends_hold(hold, 1)
    assert _told(alice, "expired")
    entries = alice.store.tables["ledger"].values()
    assert sum(row["units"] for row in entries if row["type"] == "expired") == -9


def test_a_void_that_takes_the_rest_crosses_too(alice: LotAccount) -> None:
    grant = alice.grants(9)
    alice.voids(grant)
    assert _kinds(alice) == ["units.granted", "quota.low", "quota.depleted"]


def test_where_no_events_go_out_lots_leave_no_rows_of_events() -> None:
    account = LotAccount()
    account.grants(9, 10 * DAY)
    _days(account, 9.5)
    _days(account, 1)
    assert not account.store.tables["notices"]
    assert account.balance().remaining == 0
