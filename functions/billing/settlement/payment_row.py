"""Builds the write of the payment's row.

Its condition is that the stored payment is as it was assumed to be: as the
event's metadata says (Assumed), or as it was read (Loaded).
"""

from collections.abc import Iterator
from typing import assert_never

from billing.facts import (
    Fact,
    SessionFact,
)
from billing.payments.payment import Payment, Phase
from billing.quota import lot_changes
from billing.settlement.basis import Assumed, Basis, Loaded
from billing.storage.keys import user_key
from billing.storage.writes import (
    Must,
    Write,
    absent,
    absent_or,
    equals,
    exists,
)


def payment_write(fact: Fact, basis: Basis, after: Payment) -> Write:
    """Return the write of the payment's changed attributes.

    ``basis`` is what the decision was based on. If it is Assumed (nothing was
    read), the write's condition is that the stored payment is as the event's
    metadata says. If it is Loaded, the condition is that the payment still has
    the version that was read.
    """
    match basis:
        case Assumed():
            before = basis.payment.to_item()
            must = tuple(_claims(fact, after))
        case Loaded():
            before = (basis.stored or after).to_item()
            must = (equals("version", after.version - 1),)
        case _:
            assert_never(basis)
    values = {
        name: value
        for name, value in after.to_item().items()
        if value != before.get(name)
    }
    values.pop("version", None)
    return Write(
        "payments",
        (user_key(after.user_id), after.payment_id),
        set={**values, "status": after.status},
        add={"version": 1},
        remove=("failure_code",) if after.phase is Phase.PAID else (),
        must=must,
    )


def _claims(fact: Fact, after: Payment) -> Iterator[Must]:
    yield exists("owner")
    yield Must("phase", "<", int(after.phase))
    if isinstance(fact, SessionFact):
        yield from _same_funding(fact)
        if fact.kind == "paid":
            for name in ("plan", "quota", "amount_minor", "currency"):
                yield equals(name, getattr(after, name))
            yield lot_changes.same(
                "expires_after_days", after.expires_after_days
            )


def _same_funding(fact: SessionFact) -> Iterator[Must]:
    """Yield conditions for writing to a payment what a Stripe event says.

    They make DynamoDB refuse the write if another Stripe object pays for the
    purchase: the stored payment must have the event's session or payment
    intent, or none yet.
    """
    if fact.session_id:
        yield absent_or("session_id", "==", fact.session_id)
        return
    yield absent("session_id")
    yield absent_or("payment_intent", "==", fact.funding_id)
