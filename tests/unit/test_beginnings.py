"""What begins has nothing yet, and nothing of what an older version did not store."""

from dataclasses import fields
from typing import Any

from billing.audit.tally import Tally
from billing.facts import DisputeFact, RefundsFact
from billing.payments.decision import Change
from billing.payments.dispute import Dispute
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.payments.reversals import Reversals
from billing.quota.balance import Balance
from billing.reconciliation.report import Difference, Report
from billing.settlement.settlement import Outcome

FRESH: dict[str, Any] = {
    "payment_id": "pay_1",
    "user_id": "alice",
    "plan": "starter",
    "quota": 100,
    "amount_minor": 999,
    "currency": "usd",
    "created_at": "2026-01-02T03:04:05.000000Z",
    "attempt": 0,
    "phase": 0,
    "status": "pending",
    "paid_minor": 0,
    "declined_at": 0,
    "units_clawed_back": 0,
    "units_written_off": 0,
    "movements": 0,
    "version": 0,
}


def _fresh() -> Payment:
    return Payment.of(catalogue()["starter"], "pay_1", "alice", FRESH["created_at"])


def test_a_new_payment_is_stored_whole_and_read_again() -> None:
    """There is no payment, decline or refund yet."""
    item = _fresh().to_item()
    assert {name: item[name] for name in FRESH} == FRESH
    assert Payment.from_item(item) == _fresh()


def test_a_payment_of_an_older_version_has_nothing_of_what_it_lacks() -> None:
    """Only what the buyer saw was there from the beginning."""
    frozen = ("payment_id", "user_id", "plan", "quota", "amount_minor", "currency", "created_at")
    old = {name: FRESH[name] for name in (*frozen, "phase")}
    assert Payment.from_item(old) == _fresh()


def test_a_report_begins_with_nothing() -> None:
    """And has not come to its end."""
    nothing: dict[str, Any] = {
        "matched": 0,
        "not_ours": 0,
        "dropped": 0,
        "repaired": 0,
        "counts": {},
        "differences": [],
        "finished": False,
        "unlisted": [],
        "given_up": False,
    }
    assert {name: Report().as_answer()[name] for name in nothing} == nothing
    assert not Difference("status", "cs_1", "pay_1", "why").repaired


def test_an_account_begins_with_nothing() -> None:
    """In the books, and where they are added up."""
    assert Balance.from_item(None) == Balance(
        total=0,
        used=0,
        held=0,
        remaining=0,
        debt=0,
        itemised=0,
        use_day="",
        holds_due=0,
        holds_placed=0,
        updated_at="",
        booked_at="never",
    )
    assert {getattr(Tally(), field.name) for field in fields(Tally)} == {0}


def test_no_money_has_gone_back_at_first() -> None:
    """Nor is anything known that could."""
    assert Reversals() == Reversals(refunded_high_minor=0, failed={}, standing={}, disputes={})
    assert (Reversals().refunded_minor, Reversals().disputed_minor) == (0, 0)
    assert Dispute() == Dispute(
        amount=0, opened=False, closed="", transactions={}, converted=False, told_with=0
    )
    found = RefundsFact(
        fact_id="evt", type="t", created=1, payment_intent=None, charge=None, currency="usd"
    )
    assert (found.refunded_minor, found.needs_record) == (0, False)
    dispute = DisputeFact(
        fact_id="evt",
        type="t",
        created=1,
        payment_intent=None,
        charge=None,
        currency="usd",
        dispute_id="du",
        amount=1,
        opened=True,
        closed="",
        transactions={},
    )
    assert not dispute.converted


def test_what_moved_nothing_says_so() -> None:
    """An outcome without units, and a change."""
    assert (Outcome("recorded").units, Outcome("recorded").why) == (0, "")
    assert Change(_fresh()).units == 0
