"""Everything that one write tells and opens, whole: with events, with automatic top-ups, and
without.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from billing.books import Books, Opened
from billing.notices.notice import Notice, tell
from billing.quota.balance import Balance
from billing.settings import Telling
from billing.storage.writes import Must, Write, absent, absent_or, equals, exists
from support import builders
from support.fakes.memory_store import MemoryStore

NOW: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CHARGE: Final = Write("payments", ("user#alice", "pay_1"), set={"status": "pending"})
OFF_TOLD: Final = Notice("top_up.off", {"reason": "price"})
PAID: Final = Notice("payment.completed", {"payment_id": "pay_1"})
TAKES: Final = Write(
    "quotas",
    ("alice", "quota"),
    add={"remaining": -5, "used": 5},
    must=(exists("user_id"),),
)


class Charges:
    """Opens a charge whenever it is asked to, and says so."""

    is_on = True

    def __init__(self) -> None:
        """Never asked yet."""
        self.asked: list[tuple[object, str, datetime]] = []

    def open(self, store: Any, user_id: str, now: datetime) -> Opened:
        """See TopUps."""
        self.asked.append((store, user_id, now))
        return Opened((CHARGE,), (OFF_TOLD,))

    def hurry(self, user_id: str) -> None:
        """See TopUps."""


@pytest.fixture
def charges() -> Charges:
    """Each test's own."""
    return Charges()


def _books(charges: Charges, *, is_on: bool) -> Books:
    telling = Telling(is_on=is_on, low_at=10)
    return replace(builders.books_on(MemoryStore(), telling=telling), top_ups=charges)


def _told(writes: list[Write]) -> list[tuple[int, str, dict[str, Any]]]:
    rows = [write for write in writes if write.table == "notices"]
    return [(row.set["sequence"], row.set["type"], row.set["data"]) for row in rows]


def test_a_write_that_goes_below_both_marks_tells_and_opens(charges: Charges) -> None:
    """First what the effect is, then what it crosses, then what the charge tells."""
    books = _books(charges, is_on=True)
    account = Balance(remaining=12, told=7, top_up_at=9)
    writes = [*tell(books, "alice", account, TAKES, now=NOW, notices=[PAID])]
    assert writes[0] == Write(
        "quotas",
        ("alice", "quota"),
        set={"low_told": True},
        add={"remaining": -5, "used": 5, "told": 3},
        must=(
            exists("user_id"),
            Must("remaining", ">=", 10),
            absent_or("remaining", "<", 15),
            absent("low_at"),
            Must("remaining", ">=", 9),
            absent_or("remaining", "<", 14),
            equals("top_up_at", 9),
            equals("told", 7),
        ),
    )
    told = _told(writes)
    assert [(number, kind) for number, kind, _ in told] == [
        (8, "payment.completed"),
        (9, "quota.low"),
        (10, "top_up.off"),
    ]
    assert (told[0][2], told[2][2]) == ({"payment_id": "pay_1"}, {"reason": "price"})
    shown = told[1][2]
    assert (shown["user_id"], shown["remaining"], shown["used"]) == ("alice", 7, 5)
    assert writes[-1] == CHARGE
    assert charges.asked == [(books.store, "alice", NOW)]


def test_where_no_events_go_out_a_charge_is_opened_and_nothing_is_told(charges: Charges) -> None:
    """Neither a mark nor a threshold of events is in the account's write."""
    books = _books(charges, is_on=False)
    account = Balance(remaining=12, top_up_at=9, low_at=11)
    assert [*tell(books, "alice", account, TAKES, now=NOW, notices=[PAID])] == [
        TAKES._replace(
            must=(
                exists("user_id"),
                Must("remaining", ">=", 9),
                absent_or("remaining", "<", 14),
                equals("top_up_at", 9),
            )
        ),
        CHARGE,
    ]


@pytest.mark.parametrize("remaining", [30, 13])
def test_a_write_that_stays_above_the_mark_opens_nothing(charges: Charges, remaining: int) -> None:
    books = _books(charges, is_on=False)
    account = Balance(remaining=remaining, top_up_at=8)
    (write,) = tell(books, "alice", account, TAKES, now=NOW)
    assert write.add == TAKES.add
    assert charges.asked == []


def test_a_write_that_ends_automatic_top_ups_opens_none(charges: Charges) -> None:
    """With events it still tells; without it is as it was."""
    account = Balance(remaining=12, top_up_at=9)
    off = _books(charges, is_on=False)
    assert [*tell(off, "alice", account, TAKES, now=NOW, may_open=False)] == [TAKES]
    on = _books(charges, is_on=True)
    writes = [*tell(on, "alice", account, TAKES, now=NOW, may_open=False)]
    assert [kind for _, kind, _ in _told(writes)] == ["quota.low"]
    assert CHARGE not in writes
    assert charges.asked == []


def test_what_expired_holds_give_back_counts_as_given_back_before(charges: Charges) -> None:
    """Of 8 units 4 come back and 5 are taken: from 12 to 7, which is below both marks."""
    books = _books(charges, is_on=True)
    account = Balance(remaining=8, held=4, top_up_at=9)
    write = TAKES._replace(add={"remaining": -1, "held": -4, "used": 5})
    writes = [*tell(books, "alice", account, write, now=NOW, returned=4)]
    assert [kind for _, kind, _ in _told(writes)] == ["quota.low", "top_up.off"]
    assert CHARGE in writes
    not_low = [*tell(books, "alice", replace(account, remaining=8), write, now=NOW)]
    assert [kind for _, kind, _ in _told(not_low)] == []


def test_where_the_effect_is_elsewhere_only_what_is_told_is_written(charges: Charges) -> None:
    """The account's write comes first, and takes the next number."""
    books = _books(charges, is_on=True)
    writes = [*tell(books, "alice", Balance(), None, now=NOW, notices=[PAID])]
    assert writes[0] == Write(
        "quotas", ("alice", "quota"), add={"told": 1}, must=(absent_or("told", "==", 0),)
    )
    assert [(number, kind) for number, kind, _ in _told(writes)] == [(1, "payment.completed")]
    assert [*tell(books, "alice", Balance(), None, now=NOW)] == []
