"""The smallest grants, the times at which they may expire, and what a refusal says."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from billing.grants import api
from billing.grants.booking import book, check_id, find_booked, left_after
from billing.grants.grant import Grant, GrantError, grant_row, welcome_row
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from support import builders
from support.fakes.memory_store import MemoryStore

NOW: Final = 1_767_323_045
"""2026-01-02T03:04:05Z."""
TEN_YEARS_LATER: Final = 2_082_855_845
"""2036-01-02T03:04:05Z."""


def _grant(units: int = 5, **members: Any) -> Grant:
    return Grant(
        **{"grant_id": "T-1", "user_id": "alice", "reason": "why", **members, "units": units}
    )


@pytest.mark.parametrize(
    ("units", "kind"), [(1, "granted"), (2, "granted"), (-1, "adjusted"), (-2, "adjusted")]
)
def test_what_is_given_is_granted_and_what_is_taken_is_adjusted(units: int, kind: str) -> None:
    """To the single unit."""
    assert _grant(units).entry("now").type == kind


@pytest.mark.parametrize("expires_at", [NOW + 1, TEN_YEARS_LATER])
def test_a_grant_may_expire_in_a_second_and_in_ten_years(expires_at: int) -> None:
    _grant(expires_at=expires_at).check(builders.START)


@pytest.mark.parametrize("units", [5, 1])
@pytest.mark.parametrize("expires_at", [1, NOW - 1, NOW, TEN_YEARS_LATER + 1])
def test_a_grant_expires_in_the_future_and_within_ten_years(expires_at: int, units: int) -> None:
    with pytest.raises(GrantError, match="would expire") as refused:
        _grant(units, expires_at=expires_at).check(builders.START)
    assert refused.value.kind == "invalid"
    assert refused.value.remedy == "give a time in the future, within 10 years"


@pytest.mark.parametrize("units", [-1, -5])
def test_what_is_taken_back_does_not_expire(units: int) -> None:
    with pytest.raises(GrantError, match="would expire"):
        _grant(units, expires_at=NOW + 60).check(builders.START)


@pytest.mark.parametrize(
    ("expires_at", "is_allowed"),
    [
        (datetime(2038, 2, 28, 12, tzinfo=UTC), True),
        (datetime(2038, 2, 28, 12, 0, 1, tzinfo=UTC), False),
    ],
)
def test_ten_years_after_a_leap_day_are_the_28th(expires_at: datetime, *, is_allowed: bool) -> None:
    """2038 has no 29th of February."""
    grant = _grant(expires_at=int(expires_at.timestamp()))
    now = datetime(2028, 2, 29, 12, tzinfo=UTC)
    if is_allowed:
        grant.check(now)
        return
    with pytest.raises(GrantError):
        grant.check(now)


@pytest.mark.parametrize(
    ("expires", "epoch"),
    [
        (None, 0),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), NOW),
        (datetime(2026, 1, 2, 3, 4, 5, 1, tzinfo=UTC), NOW + 1),
    ],
)
def test_a_part_of_a_second_is_the_customers(expires: datetime | None, epoch: int) -> None:
    assert api.expiry_of(expires) == epoch


@pytest.mark.parametrize(
    ("wrong", "says", "remedy"),
    [
        (
            {"units": 0},
            "0 units cannot be granted",
            "give a whole number from 1 to 1000000000, or a negative one",
        ),
        (
            {"reason": " "},
            "a grant needs a reason",
            "--reason with 1 to 500 characters, for those who read the ledger later",
        ),
        ({"grant_id": ""}, "'' is no id", "--id takes 1 to 100 printable characters"),
        (
            {"user_id": "x" * 256},
            f"'{'x' * 40}' is no user id",
            "give the token's sub, 1 to 255 characters",
        ),
    ],
)
def test_a_refusal_is_a_sentence_and_says_what_to_do(
    wrong: dict[str, Any], says: str, remedy: str
) -> None:
    with pytest.raises(GrantError) as refused:
        _grant(**{"units": 5, **wrong}).check(builders.START)
    assert (str(refused.value), refused.value.remedy) == (says, remedy)


def test_a_grants_id_at_the_api_is_the_callers_and_the_keys_own() -> None:
    """It shows neither of them, and never changes: repeats come for ever."""
    made = api.grant_id_of("backend", "k")
    assert len(made) == len("grant_") + 32
    others = {
        api.grant_id_of(*names) for names in [("k", "backend"), ("backend", "k2"), ("b", "ackendk")]
    }
    assert len(others | {made}) == 4
    assert made.startswith("grant_")
    assert set(made.removeprefix("grant_")) <= set("0123456789abcdef")
    assert api.grant_id_of("backend", "k") == made


def test_a_welcomes_row_is_the_customers_and_a_grants_its_own() -> None:
    welcome = Grant("welcome", "alice", 5, "why", source="welcome")
    assert (welcome.row, welcome.entry_id) == (("alice", "welcome"), "welcome")
    assert welcome.row == welcome_row("alice")
    assert (_grant().row, _grant().entry_id) == (("grant#T-1", "grant"), "grant:T-1")
    assert _grant().row == grant_row("T-1")


def test_an_id_belongs_to_the_first_grant_that_has_it() -> None:
    """Whosever that is; the same grant again is no conflict."""
    books = builders.books_on(MemoryStore())
    check_id(books, _grant())
    book(books, _grant())
    check_id(books, _grant())
    for other in ({"user_id": "bob"}, {"reason": "x"}, {"expires_at": NOW + 60}):
        with pytest.raises(GrantError, match="the id T-1 was used before for another") as refused:
            check_id(books, _grant(**other))
        assert refused.value.kind == "conflict"
    with pytest.raises(GrantError):
        check_id(books, _grant(6))
    assert find_booked(books, _grant()) is not None
    assert find_booked(books, _grant(grant_id="T-2")) is None
    assert find_booked(books, _grant(user_id="bob")) is None


@pytest.mark.parametrize("other", [{"units": 6}, {"reason": "x"}], ids=str)
def test_an_id_that_another_grant_of_the_customer_has_says_which(other: dict[str, Any]) -> None:
    books = builders.books_on(MemoryStore())
    book(books, _grant())
    for look in (book, find_booked):
        with pytest.raises(GrantError) as refused:
            look(books, _grant(**{"units": 5, **other}))
        assert str(refused.value) == "the id T-1 was used before: +5 units, 'why'"
        assert refused.value.kind == "conflict"
        assert refused.value.remedy == "give another --id for another grant"


@pytest.mark.parametrize(
    ("units", "remaining", "debt"), [(50, 0, 20), (70, 0, 0), (71, 1, 0), (100, 30, 0)]
)
def test_debt_is_paid_first_and_what_is_left_comes_in(
    units: int, remaining: int, debt: int
) -> None:
    """Foreseen, booked and read, the figures are the same; a lot has only what came in."""
    books = builders.books_on(MemoryStore())
    paid = builders.pending(books, "alice")
    settlement.apply(books, builders.fact(builders.completed(paid)))
    debits.debit(Meter(books, ""), "alice", 70)
    settlement.apply(books, builders.fact(builders.refunded(paid, 999)))
    before = debits.read(books, "alice")
    after = {"remaining": remaining, "debt": debt}
    assert left_after(before, _grant(units)) == after
    answer = book(books, _grant(units))
    assert {name: answer[name] for name in after} == after
    found = debits.read(books, "alice")
    assert (found.remaining, found.debt) == (remaining, debt)
    lots = [row for row in books.store.pages("quotas", "alice") if "lot_id" in row]
    assert sum(row["free"] for row in lots) == remaining
    assert api.void(books, "T-1") == {"units": remaining}


@pytest.mark.parametrize("units", [-4, -5])
def test_what_would_be_left_after_taking_is_foreseen(units: int) -> None:
    books = builders.books_on(MemoryStore())
    book(books, _grant())
    before = debits.read(books, "alice")
    assert left_after(before, _grant(units)) == {"remaining": 5 + units, "debt": 0}


def test_more_than_remains_cannot_be_taken_and_the_refusal_says_what_can() -> None:
    books = builders.books_on(MemoryStore())
    book(books, _grant())
    taking = _grant(-6, grant_id="T-2")
    before = debits.read(books, "alice")
    for act in (lambda: left_after(before, taking), lambda: book(books, taking)):
        with pytest.raises(GrantError) as refused:
            act()
        assert str(refused.value) == "alice has 5 units, 6 cannot be taken"
        assert refused.value.kind == "not_enough"
        assert refused.value.remedy == "take at most what is there"
