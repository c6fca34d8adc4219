"""A payment before its first event, as a value without a store."""

from typing import Final

from billing.payments.payment import Payment

CREATED: Final = "2026-01-01T00:00:00.000000Z"
PENDING: Final = Payment(
    payment_id="pay_1",
    user_id="alice",
    plan="starter",
    quota=100,
    amount_minor=999,
    currency="usd",
    created_at=CREATED,
    session_id="cs_1",
    version=7,
)
