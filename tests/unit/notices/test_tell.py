"""What the account's write becomes where events go out: all that it was, and what is told."""

from datetime import UTC, datetime

import pytest
from billing.notices.notice import Notice, tell
from billing.quota.balance import Balance
from billing.settings import Telling
from billing.storage.writes import Write, equals, exists
from support import builders
from support.fakes.memory_store import MemoryStore

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ON = builders.books_on(MemoryStore(), telling=Telling(is_on=True, low_at=10))
WRITE = Write(
    "quotas",
    ("alice", "quota"),
    set={"updated_at": "now"},
    add={"remaining": -5, "used": 5},
    remove=("holds_due",),
    must=(exists("user_id"), equals("debt", 0)),
)


@pytest.mark.parametrize(
    ("remaining", "types"),
    [(50, []), (12, ["quota.low"]), (5, ["quota.depleted"])],
)
def test_the_write_of_the_account_keeps_its_clauses_and_gets_those_of_what_it_crosses(
    remaining: int, types: list[str]
) -> None:
    """It is refused where anything of the decision has changed."""
    balance = Balance(remaining=remaining, told=7)
    account, *rows = tell(ON, "alice", balance, WRITE, now=NOW)
    assert account.must[:2] == WRITE.must
    assert any(clause.name == "remaining" for clause in account.must)
    assert account.set == {"updated_at": "now", **({"low_told": True} if remaining == 12 else {})}
    assert account.remove == ("holds_due",)
    told = {"told": 1} if types else {}
    assert account.add == {"remaining": -5, "used": 5, **told}
    assert (equals("told", 7) in account.must) is bool(types)
    assert [row.set["type"] for row in rows] == types
    assert [row.set["sequence"] for row in rows] == [8][: len(types)]


def test_what_comes_in_ends_what_was_low() -> None:
    """Beside what else is told, in its order."""
    low = Balance(remaining=3, low_told=True)
    write = WRITE._replace(add={"remaining": 20})
    paid = Notice("payment.completed", {"payment_id": "pay_1"})
    account, *rows = tell(ON, "alice", low, write, now=NOW, notices=[paid], comes_in=True)
    assert account.remove == ("holds_due", "low_told")
    assert "low_told" in {clause.name for clause in account.must}
    assert account.add == {"remaining": 20, "told": 2}
    assert [(row.set["sequence"], row.set["type"]) for row in rows] == [
        (1, "payment.completed"),
        (2, "quota.recovered"),
    ]


def test_what_moves_no_unit_only_takes_its_number() -> None:
    """Where nothing is told either, nothing is written."""
    paid = Notice("payment.failed", {"payment_id": "pay_1"})
    account, row = tell(ON, "alice", Balance(told=7), None, now=NOW, notices=[paid])
    assert (account.set, account.add, account.must) == ({}, {"told": 1}, (equals("told", 7),))
    assert row.set["data"] == {"payment_id": "pay_1"}
    assert [*tell(ON, "alice", Balance(), None, now=NOW)] == []


def test_where_nobody_is_told_the_write_is_as_it_was() -> None:
    off = builders.books_on(MemoryStore(), telling=Telling(is_on=False, low_at=10))
    paid = Notice("payment.failed", {})
    assert [*tell(off, "alice", Balance(), WRITE, now=NOW, notices=[paid])] == [WRITE]
    assert [*tell(off, "alice", Balance(), None, now=NOW, notices=[paid])] == []
