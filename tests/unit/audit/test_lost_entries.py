"""Purchases whose entries or references were lost, before and after a repair of their account."""

from collections.abc import Callable
from typing import Final

import pytest
from billing.audit.repair import repair_account
from billing.errors import Item
from billing.reconciliation.job import Run
from support import builders
from support.builders import intent_of
from support.compared import World

NOW: Final = "2026-01-02T03:04:05"


class Bought(World):
    """Alice bought three times and was refunded 500 of 999 twice in the second; all is right."""

    def __post_init__(self) -> None:
        """With write-offs off."""
        super().__post_init__()
        self.first, self.second, self.third = (self.buy() for _ in range(3))
        for name in ("re_1", "re_2"):
            self.stripe.refund(self.second, name, 300)
            self.settle(builders.refund_created(self.second, name, 300))

    def repaired(self, *, repair: bool = True) -> list[str]:
        """What was done."""
        job = Run(self.books, self.stripe, repair, resumes=False)  # type: ignore[arg-type]
        return list(repair_account(job, "alice").acts)

    @property
    def ledger(self) -> dict[tuple[str, str], Item]:
        """Its rows."""
        return self.store.tables["ledger"]


@pytest.fixture
def bought() -> Bought:
    """All is right."""
    return Bought()


def test_a_lost_purchase_is_booked_again_whole(bought: Bought) -> None:
    """Neither the first nor the last."""
    key = ("alice", f"funded:{bought.second.session_id}")
    row = bought.ledger.pop(key)
    place = ("user#alice", bought.second.payment_id)
    before = dict(bought.store.tables["payments"][place])
    said = [f"{key[1]}: +100 units written into the ledger again"]
    assert bought.repaired(repair=False) == said
    assert key not in bought.ledger
    assert bought.repaired() == said
    written = bought.ledger[key]
    assert written.pop("booked_at").startswith(NOW)
    del row["booked_at"]
    assert written == {**row, "note": "written again after a restore"}
    after = bought.store.tables["payments"][place]
    del before["unseen"]
    assert after == {**before, "version": before["version"] + 1}


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_clawback_is_booked_again_under_the_next_number(bought: Bought, lost: int) -> None:
    """30 units and 30, numbered 1 and 2: what is written again has number 3."""
    name = f"reversal:{bought.second.payment_id}:"
    keys = sorted(key for key in bought.ledger if key[1].startswith(name))
    assert [int(key[1].removeprefix(name)) for key in keys] == [1, 2]
    units = bought.ledger.pop(keys[lost])["units"]
    (said,) = bought.repaired()
    assert said.endswith(f": {units:+d} units written into the ledger again")
    (row,) = [row for row in bought.ledger.values() if row.get("note")]
    assert int(row["entry_id"].removeprefix(name)) == 3
    assert (row["type"], row["units"], row["reference_id"]) == (
        "clawed_back",
        units,
        bought.second.session_id,
    )
    payment = bought.store.tables["payments"]["user#alice", bought.second.payment_id]
    assert payment["movements"] == 3
    assert bought.repaired() == []


def test_lost_references_are_written_again_each(bought: Bought) -> None:
    """Of all purchases but the second, whose is there."""
    rows = bought.store.tables["payments"]
    lost = {
        key: rows.pop(key)
        for payment in (bought.first, bought.third)
        for key in [(f"ref#{intent_of(payment)}", "reference")]
    }
    said = [f"{intent_of(one)}: leads to its payment again" for one in (bought.first, bought.third)]
    assert bought.repaired(repair=False) == said
    assert not set(lost) & set(rows)
    assert bought.repaired() == said
    assert {key: rows[key] for key in lost} == lost


def _unknown_session(bought: Bought) -> tuple[str, str]:
    bought.stripe.sold = []
    return bought.second.session_id, "session"


def _unknown_intent(bought: Bought) -> tuple[str, str]:
    charged = bought.charge()
    bought.stripe.charged = []
    bought.ledger.clear()
    return intent_of(charged), "payment intent"


@pytest.mark.parametrize("happens", [_unknown_session, _unknown_intent])
def test_what_stripe_does_not_know_is_named_and_left(
    bought: Bought, happens: Callable[[Bought], tuple[str, str]]
) -> None:
    """By what was paid."""
    name, what = happens(bought)
    bought.ledger.clear()
    said = f"{name}: Stripe knows no such {what}; nothing was done about it"
    assert said in bought.repaired()


def test_a_purchase_that_a_repair_settles_is_said_to_be_settled(bought: Bought) -> None:
    """Its event was lost with its entry."""
    place = ("user#alice", bought.third.payment_id)
    bought.store.tables["payments"][place]["quota"] = 101
    (said, *_) = bought.repaired(repair=False)
    assert said.startswith(f"{bought.third.session_id}: ")
    assert not said.endswith(", settled")
