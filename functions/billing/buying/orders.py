"""Records the payment of an order, once for each Idempotency-Key."""

from dataclasses import dataclass
from typing import Any, Final

from billing.books import Books
from billing.clock import epoch, stamp, to_epoch
from billing.errors import (
    BillingError,
    ConditionFailedError,
    Item,
    OutcomeUnknownError,
)
from billing.ids import digest, new_id
from billing.payments.payment import Payment, Phase
from billing.payments.plan import Plan
from billing.storage.keys import user_key
from billing.storage.writes import Write, absent, creates, equals

REMEMBERED_SECONDS: Final = 23 * 3600
"""How long Stripe surely remembers our idempotency key. Stripe keeps it for at
least 24 hours; this is one hour less, for the difference of the clocks and
for the request itself. A later repeat could make a second session for one
payment.

https://docs.stripe.com/api/idempotent_requests
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller asks to buy.

    Repeats with one Idempotency-Key must ask for the same.
    """

    user_id: str
    plan: Plan
    saves_card: bool = False

    @property
    def body(self) -> dict[str, Any]:
        """Return the plan's id, and ``remember_card`` if the card is saved.

        They are stored for the Idempotency-Key, so that a repeat that asks for
        something else is refused.
        """
        saves = {"remember_card": True} if self.saves_card else {}
        return {"plan": self.plan.id, **saves}

    def is_repeated_by(self, under_key: Item) -> bool:
        """Return whether this order asks for the same as the stored one.

        ``under_key`` is the row stored for the caller's Idempotency-Key. The
        plan must be the same, and whether the card is to be saved.
        """
        kept = (under_key["plan"], under_key.get("remember_card", False))
        return kept == (self.plan.id, self.saves_card)


def record(
    books: Books, order: Order, key: str, instead_of: str = ""
) -> Payment:
    """Return a new payment, or the one stored for the Idempotency-Key.

    ``key`` is the caller's Idempotency-Key or "". ``instead_of`` is the id
    of a payment that the key leads to and that the new one replaces. What
    a repeat does depends on what is stored for the key::

        stored for the key                  a repeat
        nothing                             records a new payment
        another plan or remember_card       409 idempotency_conflict
        a payment with a session            answers that session again
        no session; paid, being paid or     409 idempotency_conflict
          failed
        no session; Stripe remembers our    asks Stripe again with the
          key                                 same key
        no session; expired or too old      records a new payment at
                                              today's price

    If a payment has no session, its answer never reached the caller. A new
    payment is recorded only when Stripe can no longer be asked for the old
    one. So no payment gets two sessions.
    """
    now, user_id = books.clock(), order.user_id
    payment = Payment.of(order.plan, new_id("pay", now), user_id, stamp(now))
    owner = user_key(user_id)
    writes = [
        creates("payments", (owner, payment.payment_id), payment.to_item())
    ]
    if key:
        kept = {"payment_id": payment.payment_id, **order.body}
        free = (
            equals("payment_id", instead_of) if instead_of else absent("owner")
        )
        writes.append(
            Write(
                "payments",
                (owner, f"key#{digest(key)}"),
                set=kept,
                must=(free,),
            )
        )
    try:
        books.store.commit(*writes)
    except ConditionFailedError as refused:
        under_key = refused.old.get(1)
        if not under_key:
            raise
        return _repeat(books, order, key, under_key)
    return payment


def _repeat(books: Books, order: Order, key: str, under_key: Item) -> Payment:
    """Return the payment for an Idempotency-Key that was used before.

    ``under_key`` is the row stored for ``key``. The stored payment is returned
    if it has a session, or if Stripe can be asked again for one. If it expired
    or is too old for that, a new payment is recorded and returned. Raises
    ``idempotency_conflict`` for another order, and for a payment without a
    session that was paid, is being paid or failed.
    """
    if not order.is_repeated_by(under_key):
        detail = (
            "this Idempotency-Key was used with another body; "
            "send a new key for a new purchase"
        )
        raise BillingError("idempotency_conflict", detail)
    payment = find_payment(books, order.user_id, under_key["payment_id"])
    if payment.url:
        return payment
    if payment.phase > Phase.EXPIRED:
        state = f"was paid, is being paid or failed: see {payment.payment_id}"
        detail = (
            f"this key's purchase {state}; send a new key for a new purchase"
        )
        raise BillingError("idempotency_conflict", detail)
    age_seconds = epoch(books.clock()) - to_epoch(payment.created_at)
    if age_seconds < REMEMBERED_SECONDS and payment.phase < Phase.EXPIRED:
        return payment
    return record(books, order, key, instead_of=payment.payment_id)


def find_payment(books: Books, user_id: str, payment_id: str) -> Payment:
    """Return a user's payment by its id.

    Raises OutcomeUnknownError if it is not there. Callers have the id from
    another stored row, so it should be.
    """
    item = books.store.get("payments", (user_key(user_id), payment_id))
    if item is None:
        message = f"payment {payment_id} is named by a key but is not there"
        raise OutcomeUnknownError(message)
    return Payment.from_item(item)
