"""A payment's row, to the last attribute, and rows of other versions."""

from typing import Any, Final

from billing.payments.payment import Payment, Phase
from billing.payments.reversals import Reversals

CREATED: Final = "2026-01-01T00:00:00.000000Z"
DONE: Final = "2026-01-02T03:04:05.000000Z"
FULL: Final = Payment(
    payment_id="pay_1",
    user_id="alice",
    plan="dated",
    quota=100,
    amount_minor=999,
    currency="usd",
    created_at=CREATED,
    attempt=2,
    session_id="cs_1",
    url="https://pay/1",
    expires_at="2026-01-03T00:00:00.000000Z",
    phase=Phase.PAID,
    completed_at=DONE,
    payment_intent="pi_1",
    paid_minor=900,
    failure_code="code",
    declined_at=4,
    units_clawed_back=5,
    units_written_off=6,
    units_expired=7,
    expires_after_days=30,
    lot_expires_at=8,
    away_since=9,
    movements=10,
    reversals=Reversals(refunded_high_minor=50),
    unseen="unseen",
    version=11,
)
STORED: Final[dict[str, Any]] = {
    "payment_id": "pay_1",
    "user_id": "alice",
    "plan": "dated",
    "quota": 100,
    "amount_minor": 999,
    "currency": "usd",
    "created_at": CREATED,
    "attempt": 2,
    "session_id": "cs_1",
    "url": "https://pay/1",
    "expires_at": "2026-01-03T00:00:00.000000Z",
    "phase": 5,
    "status": "partially_refunded",
    "completed_at": DONE,
    "payment_intent": "pi_1",
    "paid_minor": 900,
    "failure_code": "code",
    "declined_at": 4,
    "units_clawed_back": 5,
    "units_written_off": 6,
    "units_expired": 7,
    "expires_after_days": 30,
    "lot_expires_at": 8,
    "away_since": 9,
    "movements": 10,
    "reversals": {"refunded_high_minor": 50, "failed": {}, "standing": {}, "disputes": {}},
    "unseen": "unseen",
    "version": 11,
}


def test_a_payment_is_stored_whole_and_read_again() -> None:
    """What a newer version adds is left alone."""
    assert FULL.to_item() == STORED
    assert Payment.from_item({**STORED, "owner": "user#alice", "newer": 1}) == FULL


def _first() -> Payment:
    names = ("payment_id", "user_id", "plan", "quota", "amount_minor", "currency", "created_at")
    return Payment.from_item({name: STORED[name] for name in names})


def test_empty_texts_are_not_stored() -> None:
    """They are what sparse indexes and conditions see as absent."""
    bare = _first().to_item()
    assert "" not in bare.values()
    assert {"session_id", "url", "unseen", "failure_code", "payment_intent"}.isdisjoint(bare)


def test_a_row_of_the_first_version_is_a_pending_payment() -> None:
    """It has the first block alone."""
    first = _first()
    assert first == Payment(
        payment_id="pay_1",
        user_id="alice",
        plan="dated",
        quota=100,
        amount_minor=999,
        currency="usd",
        created_at=CREATED,
    )
    assert (first.phase, first.expires_after_days, first.declined_at) == (Phase.PENDING, 0, 0)
