"""What a stored balance means, and the whole movements of units in and out."""

from typing import Any, Final

import pytest
from billing.quota.balance import Balance, Expiry, Quota, is_counter, read_account
from billing.quota.movement import Movement, come_in, exactly, go_out
from billing.settings import ReversalPolicy
from billing.storage.writes import Must, Write
from support.fakes.memory_store import MemoryStore

ROW: Final[dict[str, Any]] = {
    "user_id": "alice",
    "item": "quota",
    "total": 1000,
    "used": 300,
    "held": 40,
    "remaining": 640,
    "debt": 5,
    "itemised": 250,
    "use_day": "2026-01-02",
    "holds_due": 11,
    "holds_placed": 12,
    "lots_due": 13,
    "lots_used": 270,
    "lots_left": 600,
    "lots_held": 30,
    "lots_version": 14,
    "lots_exact": 1,
    "updated_at": "2026-01-02T03:04:05.000000Z",
    "booked_at": "2026-01-01T00:00:00.000000Z",
    "keys_changed": 15,
    "told": 16,
    "low_at": 17,
    "low_told": True,
    "top_up_at": 18,
    "uAAAA": 1,
    "rAAAA": 2,
    "xBBBB": 3,
    "of_a_newer_version": 99,
}
WHOLE: Final = Balance(
    total=1000,
    used=300,
    held=40,
    remaining=640,
    debt=5,
    itemised=250,
    use_day="2026-01-02",
    holds_due=11,
    holds_placed=12,
    lots_due=13,
    lots_used=270,
    lots_left=600,
    lots_held=30,
    lots_version=14,
    lots_exact=1,
    updated_at="2026-01-02T03:04:05.000000Z",
    booked_at="2026-01-01T00:00:00.000000Z",
    keys_changed=15,
    keys={"uAAAA": 1, "rAAAA": 2, "xBBBB": 3},
    told=16,
    low_at=17,
    low_told=True,
    top_up_at=18,
)
MEMBERS: Final = (
    "total",
    "used",
    "held",
    "remaining",
    "debt",
    "itemised",
    "holds_due",
    "holds_placed",
    "lots_due",
    "lots_used",
    "lots_left",
    "lots_held",
    "lots_version",
    "lots_exact",
    "keys_changed",
    "told",
    "top_up_at",
)


def test_a_stored_row_is_read_whole_and_what_a_newer_version_wrote_is_left_out() -> None:
    assert Balance.from_item(ROW) == WHOLE
    store = MemoryStore()
    store.tables["quotas"]["alice", "quota"] = ROW
    assert read_account(store, "alice") == WHOLE  # type: ignore[arg-type]
    assert read_account(store, "bob") == Balance()  # type: ignore[arg-type]


def test_who_never_bought_has_zeros_and_no_times() -> None:
    empty = Balance.from_item(None)
    assert [getattr(empty, name) for name in MEMBERS] == [0] * 17
    assert (empty.use_day, empty.updated_at, empty.booked_at) == ("", "", "never")
    assert (empty.keys, empty.low_at, empty.low_told) == ({}, None, False)
    assert empty.as_answer("bob") == Quota("bob", 0, 0, 0, 0, 0, None, None)


def test_the_quota_of_an_answer_and_of_an_event_has_every_figure_in_its_place() -> None:
    soon = Expiry(7, "2026-02-01T00:00:00.000000Z")
    at = "2026-01-02T03:04:05.000000Z"
    assert WHOLE.as_answer("alice", soon) == Quota("alice", 1000, 300, 40, 640, 5, at, soon)
    assert WHOLE.shown("alice") == {
        "user_id": "alice",
        "total": 1000,
        "used": 300,
        "held": 40,
        "remaining": 640,
        "debt": 5,
        "updated_at": at,
        "expires_next": None,
    }


def test_what_lots_and_entries_lack_follows_from_the_figures() -> None:
    assert WHOLE.unburned == 30
    assert WHOLE.earlier_free == 640 + 30 - 600 + 30
    assert WHOLE.ledger_units == 750


def test_a_write_changes_the_figures_that_it_names_and_no_other() -> None:
    write = Write(
        "quotas",
        ("alice", "quota"),
        set={"use_day": "2026-01-03", "low_at": 2, "of_a_newer_version": 1, "open": "open"},
        add={"remaining": -40, "used": 40, "uAAAA": 4, "rCCCC": -4, "version": 9},
        remove=("holds_due", "low_told", "unknown"),
    )
    after = WHOLE.after(write)
    assert after == Balance.from_item(
        {
            **ROW,
            "remaining": 600,
            "used": 340,
            "use_day": "2026-01-03",
            "low_at": 2,
            "holds_due": 0,
            "low_told": False,
            "uAAAA": 5,
            "rCCCC": -4,
        }
    )
    plain = Write("quotas", ("alice", "quota"), add={"remaining": 1})
    assert WHOLE.after(plain).keys == {"uAAAA": 1, "rAAAA": 2, "xBBBB": 3}


@pytest.mark.parametrize("name", ["uR6Cr", "rR6Cr", "xR6Cr", "u-lpp"])
def test_a_letter_and_four_characters_count_for_a_key(name: str) -> None:
    assert is_counter(name)


@pytest.mark.parametrize("name", ["used", "kR6Cr", "uR6C", "uR6Crx", "total", "debt", "told"])
def test_no_other_attribute_counts_for_a_key(name: str) -> None:
    assert not is_counter(name)


NO_DEBT: Final = Must("debt", "==", 0, or_absent=True)
NO_REST: Final = Must("remaining", "==", 0, or_absent=True)


def _is(name: str, units: int) -> Must:
    return Must(name, "==", units)


@pytest.mark.parametrize(
    ("balance", "units", "movement"),
    [
        (Balance(remaining=3), 5, Movement({"remaining": 5}, (NO_DEBT,))),
        (Balance(debt=2), 5, Movement({"remaining": 3, "debt": -2}, (_is("debt", 2),))),
        (Balance(debt=9), 5, Movement({"remaining": 0, "debt": -5}, (_is("debt", 9),))),
    ],
)
def test_units_come_in_on_condition_of_the_debt_that_was_seen(
    balance: Balance, units: int, movement: Movement
) -> None:
    assert come_in(balance, units) == movement


GOES_OUT: Final[list[tuple[Balance, ReversalPolicy, Movement]]] = [
    (
        Balance(remaining=7, debt=1),
        "debt",
        Movement({"remaining": -7}, (Must("remaining", ">=", 7),)),
    ),
    (
        Balance(remaining=5, debt=1),
        "debt",
        Movement({"remaining": -5, "debt": 2}, (_is("remaining", 5), _is("debt", 1))),
    ),
    (Balance(), "debt", Movement({"remaining": 0, "debt": 7}, (NO_REST, NO_DEBT))),
    (
        Balance(remaining=2, held=3, debt=1),
        "write_off",
        Movement(
            {"remaining": -2, "debt": 2},
            (_is("remaining", 2), _is("debt", 1), _is("held", 3)),
            written_off=3,
        ),
    ),
    (
        Balance(),
        "write_off",
        Movement(
            {"remaining": 0, "debt": 0},
            (NO_REST, NO_DEBT, Must("held", "==", 0, or_absent=True)),
            written_off=7,
        ),
    ),
]


@pytest.mark.parametrize(("balance", "policy", "movement"), GOES_OUT)
def test_units_go_out_on_condition_of_what_was_seen(
    balance: Balance, policy: ReversalPolicy, movement: Movement
) -> None:
    """Seven of them."""
    assert go_out(balance, 7, policy) == movement


def test_a_figure_that_is_zero_may_be_absent_and_no_other() -> None:
    assert exactly("held", 0) == Must("held", "==", 0, or_absent=True)
    assert exactly("held", 1) == Must("held", "==", 1)


def test_two_movements_are_one_with_the_clauses_of_both() -> None:
    one = Movement({"remaining": 1}, (Must("debt", "==", 0),), written_off=3)
    other = Movement({"rAAAA": 2}, (Must("rAAAA", "exists"),))
    assert one.beside(other) == Movement(
        {"remaining": 1, "rAAAA": 2}, (Must("debt", "==", 0), Must("rAAAA", "exists")), 3
    )
