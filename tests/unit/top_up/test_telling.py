"""Which changes of an agreement are told: every state before, every state after."""

from dataclasses import replace
from typing import Any

import pytest
from billing.agreements.agreement import Agreement
from billing.charging.charge import Charge
from billing.top_up.telling import told_by

ON = Agreement(user_id="alice", on=True, plan="starter", when_below=50, month="2026-01", used=2)
FIRST = Charge(payment_id="pay_1", state="asked")
SECOND = Charge(payment_id="pay_1", attempt=1)
THIRD = Charge(payment_id="pay_1", attempt=2)


@pytest.mark.parametrize(
    ("before", "after", "types"),
    [
        # a charge's first attempt: put off, ended, or well
        ({"charge": FIRST}, {"charge": SECOND}, ["top_up.failed"]),
        ({"charge": FIRST}, {"paused": "card_declined"}, ["top_up.failed", "top_up.off"]),
        ({"charge": FIRST}, {}, []),
        ({"charge": FIRST}, {"charge": FIRST}, []),
        ({"charge": replace(FIRST, state="processing")}, {"charge": SECOND}, ["top_up.failed"]),
        # it was not asked for yet
        ({"charge": replace(FIRST, state="waiting")}, {"charge": SECOND}, []),
        ({"charge": replace(FIRST, state="waiting")}, {"paused": "refused"}, ["top_up.off"]),
        # later attempts
        ({"charge": replace(SECOND, state="asked")}, {"charge": THIRD}, []),
        ({"charge": replace(SECOND, state="asked")}, {"paused": "refused"}, ["top_up.off"]),
        # no charge
        ({}, {"paused": "price_changed"}, ["top_up.off"]),
        ({}, {"paused": "price_changed", "on": False}, ["top_up.off"]),
        ({}, {"on": False}, []),
        # it was off before
        ({"paused": "refused"}, {"paused": "disputed"}, []),
        ({"paused": "refused"}, {"paused": "refused", "on": False}, []),
        ({"on": False}, {"on": False, "paused": "disputed"}, []),
        ({"paused": "refused"}, {}, []),
        ({"charge": FIRST, "paused": "refused"}, {"charge": SECOND, "paused": "refused"},
         ["top_up.failed"]),
    ],
)  # fmt: skip
def test_the_first_decline_and_the_end_are_told_and_nothing_else(
    before: dict[str, Any], after: dict[str, Any], types: list[str]
) -> None:
    found = [*told_by(replace(ON, **before), replace(ON, **after))]
    assert [notice.type for notice in found] == types


def test_what_is_told_names_the_charge_and_shows_the_agreement() -> None:
    """As the API shows it, with the month's charges."""
    after = replace(ON, paused="card_declined")
    failed, off = told_by(replace(ON, charge=FIRST), after)
    shown = {"reason": "card_declined", "payment_id": "pay_1"}
    assert failed.data == off.data == shown | {"auto_top_up": after.as_answer("2026-01")}
    (failed,) = told_by(replace(ON, charge=FIRST), replace(ON, charge=SECOND))
    assert failed.data["reason"] is None
    (off,) = told_by(ON, after)
    assert off.data["payment_id"] is None
