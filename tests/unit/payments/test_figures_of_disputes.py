"""The money of disputes and refunds, figure by figure."""

from dataclasses import replace
from typing import Final

import pytest
from billing.facts import DisputeFact, RefundsFact
from billing.payments.dispute import Dispute
from billing.payments.reversals import Reversals

OUT: Final = {"txn_1": -900}
BACK: Final = {"txn_1": -900, "txn_2": 900}
PART: Final = {"txn_1": -900, "txn_2": 300}
MORE: Final = {"txn_1": -900, "txn_2": 950}
TWICE: Final = {"txn_1": -600, "txn_2": 600, "txn_3": -600}


@pytest.mark.parametrize(
    ("dispute", "out", "is_open", "lost"),
    [
        (Dispute(), 0, False, 0),
        (Dispute(amount=999, opened=True), 0, True, 0),
        (Dispute(amount=999, opened=True, transactions=OUT), 900, True, 0),
        (Dispute(amount=999, transactions=OUT), 900, True, 0),
        (Dispute(amount=999, transactions={"txn_1": -1}), 1, True, 0),
        (Dispute(amount=999, opened=True, transactions=BACK), 0, False, 0),
        (Dispute(amount=999, opened=True, transactions=PART), 600, True, 0),
        (Dispute(amount=999, opened=True, transactions=MORE), 0, False, 0),
        (Dispute(amount=999, opened=True, transactions=TWICE), 600, True, 0),
        (Dispute(amount=999, opened=True, closed="won", transactions=OUT), 900, True, 0),
        (Dispute(amount=999, opened=True, closed="won", transactions=PART), 600, False, 0),
        (Dispute(amount=999, opened=True, closed="won"), 0, False, 0),
        (Dispute(amount=999, opened=True, closed="warning_closed"), 0, False, 0),
        (Dispute(amount=999, opened=True, closed="lost"), 0, False, 999),
        (Dispute(amount=999, opened=True, closed="lost", transactions=OUT), 900, False, 999),
        (Dispute(amount=999, opened=True, closed="lost", transactions=PART), 600, False, 999),
        (Dispute(amount=999, opened=True, closed="lost", transactions=BACK), 0, False, 0),
        (Dispute(amount=999, closed="lost", transactions={"txn_1": 0}), 0, False, 0),
    ],
)
def test_a_dispute_is_what_its_money_says(
    dispute: Dispute, out: int, lost: int, *, is_open: bool
) -> None:
    """What it holds, whether it goes on, and what the customer keeps of a lost one."""
    assert (dispute.out_minor, dispute.is_open, dispute.lost_minor) == (out, is_open, lost)


@pytest.mark.parametrize(
    ("closed", "transactions", "out"),
    [
        ("", {}, 0),
        ("", {"txn_1": -900}, 1000),
        ("", {"txn_1": -900, "txn_2": 300}, 666),
        ("", {"txn_1": -900, "txn_2": 899}, 1),
        ("", {"txn_1": -900, "txn_2": 900}, 0),
        ("", {"txn_1": -450, "txn_2": -450}, 1000),
        ("", {"txn_1": 5}, 0),
        ("lost", {"txn_1": -900, "txn_2": 300}, 666),
        ("warning_closed", {"txn_1": -900, "txn_2": 300}, 666),
        ("won", {"txn_1": -900}, 1000),
        ("won", {"txn_1": -900, "txn_2": 1}, 0),
        ("won", {"txn_1": -900, "txn_2": 0}, 1000),
    ],
)
def test_a_converted_dispute_holds_its_share_of_what_was_disputed(
    closed: str, transactions: dict[str, int], out: int
) -> None:
    """The balance transactions are in another currency: https://docs.stripe.com/currencies/conversions."""
    dispute = Dispute(1000, closed=closed, transactions=transactions, converted=True)
    assert dispute.out_minor == out
    assert replace(dispute, converted=False).out_minor == max(0, -sum(transactions.values()))


FACT: Final = DisputeFact(
    fact_id="evt_1",
    type="charge.dispute.updated",
    created=1,
    payment_intent="pi_1",
    charge="ch_1",
    currency="usd",
    dispute_id="du_1",
    amount=700,
    opened=True,
    closed="",
    transactions={"txn_1": -700},
)


def test_an_event_adds_what_it_knows_of_its_dispute() -> None:
    """The others stay as they were."""
    other = Dispute(amount=5)
    known = Reversals(disputes={"du_2": other}).with_fact(FACT)
    assert known == Reversals(
        disputes={"du_2": other, "du_1": Dispute(700, opened=True, closed="",
                                                 transactions={"txn_1": -700}, told_with=1)}
    )  # fmt: skip
    later = replace(
        FACT, amount=600, opened=False, closed="won", transactions={"txn_2": 700}, converted=True
    )
    assert known.with_fact(later).disputes["du_1"] == Dispute(
        700,
        opened=True,
        closed="won",
        transactions={"txn_1": -700, "txn_2": 700},
        converted=True,
        told_with=1,
    )


@pytest.mark.parametrize(
    ("first", "then", "ends"),
    [
        ("", "prevented", "prevented"),
        ("prevented", "warning_closed", "warning_closed"),
        ("warning_closed", "lost", "lost"),
        ("lost", "won", "won"),
        ("", "won", "won"),
    ],
)
def test_the_strongest_end_of_a_dispute_counts(first: str, then: str, ends: str) -> None:
    """In whichever order the events come."""
    for order in ((first, then), (then, first)):
        known = Reversals()
        for closed in order:
            known = known.with_fact(replace(FACT, closed=closed))
        assert known.disputes["du_1"].closed == ends


REFUNDS: Final = RefundsFact(
    fact_id="evt_1",
    type="charge.refunded",
    created=1,
    payment_intent="pi_1",
    charge="ch_1",
    currency="usd",
)


@pytest.mark.parametrize(
    ("high", "failed", "standing", "refunded"),
    [
        (0, {}, {}, 0),
        (500, {}, {}, 500),
        (500, {"re_1": 300}, {}, 200),
        (500, {"re_1": 300, "re_2": 300}, {}, 0),
        (0, {}, {"re_1": 100, "re_2": 50}, 150),
        (0, {"re_1": 100}, {"re_1": 100, "re_2": 50}, 50),
        (500, {"re_1": 100}, {"re_1": 100, "re_2": 450}, 450),
        (500, {"re_1": 40}, {"re_1": 40, "re_2": 450}, 460),
    ],
)
def test_what_was_refunded_is_the_larger_of_two_lower_bounds(
    high: int, failed: dict[str, int], standing: dict[str, int], refunded: int
) -> None:
    """What stands by its id, and the highest figure less what failed."""
    known = Reversals(high, failed, standing)
    assert known.refunded_minor == refunded
    assert known.returned_minor == refunded


def test_refunds_are_gathered_from_all_events() -> None:
    """The highest figure, every failure, and every refund that stands."""
    known = Reversals()
    for refunded, failed, standing in (
        (500, {"re_1": 1}, {"re_2": 2}),
        (300, {"re_3": 3}, {"re_4": 4}),
    ):
        known = known.with_fact(
            replace(REFUNDS, refunded_minor=refunded, failed=failed, standing=standing)
        )
    assert known == Reversals(500, {"re_1": 1, "re_3": 3}, {"re_2": 2, "re_4": 4})
    assert [known.knows(name, gone=True) for name in ("re_1", "re_2", "re_9")] == [
        True, False, False,
    ]  # fmt: skip
    assert [known.knows(name, gone=False) for name in ("re_1", "re_2", "re_9")] == [
        False, True, False,
    ]  # fmt: skip
    both = Reversals(failed={"re_1": 1}, standing={"re_1": 1})
    assert not both.knows("re_1", gone=False)


LOST: Final = Dispute(400, closed="lost", transactions={"txn_1": -400})
HELD: Final = Dispute(300, opened=True, transactions={"txn_2": -300})
MANY: Final = Reversals(200, disputes={"du_1": LOST, "du_2": HELD})


def test_refunds_and_disputes_are_added_up() -> None:
    """The customer keeps refunds and lost disputes; units go with all money that is out."""
    assert (MANY.refunded_minor, MANY.disputed_minor, MANY.returned_minor) == (200, 700, 600)
    assert MANY.is_disputed
    assert not Reversals(disputes={"du_1": LOST}).is_disputed
    assert MANY.units_to_take_back(100, 1000) == 90
    assert MANY.units_to_take_back(100, 900) == 100
    assert MANY.units_to_take_back(100, 899) == 100
    assert MANY.units_to_take_back(100, 0) == 0


def test_reversals_are_stored_whole_and_read_again() -> None:
    """What a newer version added is left alone, also inside a dispute."""
    held = {
        "amount": 300,
        "opened": True,
        "closed": "",
        "transactions": {"txn_2": -300},
        "converted": False,
        "told_with": 0,
    }
    known = Reversals(200, {"re_1": 1}, {"re_2": 2}, {"du_2": HELD})
    stored = {
        "refunded_high_minor": 200,
        "failed": {"re_1": 1},
        "standing": {"re_2": 2},
        "disputes": {"du_2": held},
    }
    assert known.to_item() == stored
    newer = {**stored, "newer": 1, "disputes": {"du_2": {**held, "newer": 1}}}
    assert Reversals.from_item(newer) == known
    assert Reversals.from_item({}) == Reversals()
