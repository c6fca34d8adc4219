"""One lot: its key, its row, and the writes that turn one row into another."""

from dataclasses import replace
from typing import Any, Final

import pytest
from billing.lots.listed import ListedLot, listed, shown
from billing.lots.lot import EARLIER, Lot, row_writes
from billing.storage.writes import Must, Write

DAY: Final = 86_400
END: Final = 1_800_000_000
LOT: Final = Lot(
    lot_id="grant:g",
    source="grant",
    units=10,
    free=6,
    held=3,
    expires_at=END,
    created_us=1_767_323_045_000_001,
    reference_id="g",
    reminded=1,
)
KEY: Final = "lot#001800000000#0#1767323045000001#grant:g"
ROW: Final[dict[str, Any]] = {
    "lot_id": "grant:g",
    "source": "grant",
    "units": 10,
    "free": 6,
    "held": 3,
    "expires_at": END,
    "created_us": 1_767_323_045_000_001,
    "reference_id": "g",
    "reminded": 1,
    "open": "expires_1",
}
BOUGHT: Final = Lot("purchase:p:0000", "purchase", 5, 5, created_us=7, reference_id="cs_1")


def test_the_key_of_a_row_is_its_place_in_the_order_of_burning() -> None:
    assert LOT.key == KEY
    assert BOUGHT.key == "lot#999999999999#1#0000000000000007#purchase:p:0000"
    assert EARLIER.key == "lot#999999999999#1#0000000000000000#earlier"
    assert replace(LOT, source="welcome", expires_at=0, created_us=2).key == (
        "lot#999999999999#0#0000000000000002#grant:g"
    )


def test_a_lot_that_never_expires_burns_after_the_last_second_that_a_lot_may_have() -> None:
    """Ten years from any day of this century."""
    assert replace(LOT, expires_at=4_102_444_800, source="purchase").key < BOUGHT.key


def test_a_row_has_every_member_of_its_lot_and_the_mark_of_the_next_reminder() -> None:
    assert LOT.to_item() == ROW
    assert LOT.left == 9
    assert Lot.from_item({**ROW, "user_id": "alice", "item": KEY, "newer": 1}) == LOT


@pytest.mark.parametrize(
    ("changed", "mark"),
    [
        ({"reminded": 0}, "expires_7"),
        ({"reminded": 1}, "expires_1"),
        ({"reminded": 2}, "open"),
        ({"free": 0}, None),
        ({"expires_at": 0}, None),
    ],
)
def test_lots_with_free_units_that_expire_are_marked(
    changed: dict[str, Any], mark: str | None
) -> None:
    row = replace(LOT, **changed).to_item()
    assert row.get("open") == mark
    assert row.get("reminded", 0) == changed.get("reminded", 1)
    assert "is_void" not in row


def test_a_voided_grant_and_a_plain_purchase_are_kept_as_what_they_are() -> None:
    voided = replace(LOT, is_void=True)
    assert voided.to_item() == {**ROW, "is_void": True}
    assert Lot.from_item(voided.to_item()) == voided
    assert BOUGHT.to_item() == {
        "lot_id": "purchase:p:0000",
        "source": "purchase",
        "units": 5,
        "free": 5,
        "held": 0,
        "expires_at": 0,
        "created_us": 7,
        "reference_id": "cs_1",
    }


@pytest.mark.parametrize(
    ("before_end", "past"),
    [
        (7 * DAY + 1, 0),
        (7 * DAY, 1),
        (DAY + 1, 1),
        (DAY, 2),
        (0, 2),
    ],
)
def test_reminders_are_due_seven_days_and_one_day_before_the_end(
    before_end: int, past: int
) -> None:
    now = END - before_end
    assert LOT.reminders_past(now) == past
    assert replace(LOT, reminded=0).begun(now) == replace(LOT, reminded=past)
    assert BOUGHT.begun(now) == BOUGHT


def test_a_lot_has_expired_from_its_second_on() -> None:
    assert not LOT.has_expired(END - 1)
    assert LOT.has_expired(END)
    assert LOT.has_expired(END + 1)
    assert not BOUGHT.has_expired(END)
    assert replace(LOT, expires_at=1).has_expired(1)


AS_READ: Final = (Must("free", "==", 6), Must("held", "==", 3))


def _update(
    changed: dict[str, Any], remove: tuple[str, ...] = (), must: tuple[Must, ...] = AS_READ
) -> list[Write]:
    return [Write("quotas", ("alice", KEY), set=changed, remove=remove, must=must)]


@pytest.mark.parametrize(
    ("after", "writes"),
    [
        (LOT, []),
        (replace(LOT, free=2, held=7), _update({"free": 2, "held": 7})),
        (replace(LOT, free=0), _update({"free": 0}, ("open",))),
        (replace(LOT, reminded=2), _update({"reminded": 2, "open": "open"})),
        (replace(LOT, free=0, is_void=True), _update({"free": 0, "is_void": True}, ("open",))),
        (replace(LOT, units=12), _update({"units": 12})),
    ],
)
def test_what_changed_of_a_lot_is_written_where_the_row_is_as_it_was_read(
    after: Lot, writes: list[Write]
) -> None:
    assert row_writes("alice", LOT, after) == writes


def test_an_empty_lot_has_no_row() -> None:
    delete = [Write("quotas", ("alice", KEY), delete=True, must=AS_READ)]
    assert row_writes("alice", LOT, replace(LOT, free=0, held=0)) == delete
    assert row_writes("alice", LOT, None) == delete
    assert row_writes("alice", None, replace(LOT, free=0, held=0)) == []
    assert row_writes("alice", None, None) == []


def test_a_new_lots_row_is_written_where_there_is_none() -> None:
    created = [Write("quotas", ("alice", KEY), set=ROW, must=(Must("user_id", "absent"),))]
    assert row_writes("alice", None, LOT) == created


def test_a_customer_sees_a_lot_without_what_is_only_kept() -> None:
    assert listed(LOT) == ListedLot(
        "grant:g", "grant", 10, 9, "2027-01-15T08:00:00.000000Z", reference_id="g"
    )
    assert shown(LOT) == {
        "lot_id": "grant:g",
        "source": "grant",
        "units": 10,
        "left": 9,
        "expires_at": "2027-01-15T08:00:00.000000Z",
        "reference_id": "g",
    }
    assert shown(replace(EARLIER, units=4, free=1)) == {
        "lot_id": "earlier",
        "source": "purchase",
        "units": 4,
        "left": 1,
        "expires_at": None,
        "reference_id": None,
    }
