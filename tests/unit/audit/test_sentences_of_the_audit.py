"""Each rule of ``topup ledger verify`` by the sentence that operators read."""

import pytest
from billing.audit.tally import Difference, Tally

BROKEN = [
    ({"booked": 7}, "the ledger's entries sum up to total less what is itemised", 7, 0),
    ({"remaining": 7}, "remaining + held - debt is total - used", 0, 7),
    ({"in_holds": 7}, "held is what the open holds hold", 7, 0),
    ({"paid_count": 1}, "every paid payment is funded once", 1, 0),
    ({"funded_count": 1}, "every paid payment is funded once", 0, 1),
    ({"intents_count": 1}, "every payment intent leads to its payment", 1, 0),
    ({"paid": 7}, "paid payments are funded with the units they bought", 7, 0),
    ({"clawed_back": 7}, "payments and ledger agree on what was clawed back", 7, 0),
    ({"written_off": 7}, "payments and ledger agree on what was written off", 7, 0),
    ({"remaining": -7, "debt": -7}, "remaining is not below zero", 0, -7),
    ({"remaining": -7, "debt": -7}, "debt is not below zero", 0, -7),
    ({"used": 7, "total": 7, "itemised": 8, "booked": -1}, "itemised is not more than used", 7, 8),
    ({"remaining": 7, "debt": 7}, "there is no debt while units remain", 0, 7),
    ({"balance_count": 2}, "an account has one balance", 1, 2),
    ({"balance_count": 0}, "an account has one balance", 1, 0),
]


@pytest.mark.parametrize(("figures", "rule", "expected", "found"), BROKEN)
def test_a_broken_rule_is_reported_with_both_figures(
    figures: dict[str, int], rule: str, expected: int, found: int
) -> None:
    """And no other rule beside those that the same figures break."""
    tally = Tally(**{"balance_count": 1, **figures})
    said = list(tally.differences("alice"))
    assert Difference("alice", rule, expected, found) in said
    assert {one.rule for one in said} <= {row[1] for row in BROKEN if row[0] == figures}


def test_books_that_balance_break_no_rule() -> None:
    """It reports nothing."""
    figures = {"booked": 80, "funded": 100, "funded_count": 1, "taken_back": 20}
    bought = {"paid": 100, "paid_count": 1, "intents_count": 1, "referred_count": 1}
    account = {"total": 80, "used": 30, "held": 10, "remaining": 40, "in_holds": 10}
    tally = Tally(balance_count=1, clawed_back=20, **figures, **bought, **account)
    assert list(tally.differences("alice")) == []
