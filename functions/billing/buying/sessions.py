"""Creates the Checkout Session of a payment at Stripe, and stores it.

The idempotency key that we send to Stripe is made from the payment's id.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from billing.books import Books
from billing.buying.orders import find_payment
from billing.buying.session_params import Shop, session_params
from billing.clock import from_epoch
from billing.errors import (
    BillingError,
    ConditionFailedError,
    OutcomeUnknownError,
    StripeRefusedError,
)
from billing.payments.payment import Payment
from billing.payments.plan import Plan
from billing.storage.keys import user_key
from billing.storage.writes import Write, absent_or, equals, exists
from billing.stripe_api.client import Gateway
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError

FAULTS_MAX: Final = 2
"""How many attempts are made to create a session, each with another
idempotency key at Stripe, before the request fails.
"""
Customer = Callable[[str], str]
"""Returns the id of the customer at Stripe to whom the card is saved. Its
argument is "", or the id of one that was deleted at Stripe: then it returns
another one.
"""


def make_session(
    books: Books,
    gateway: Gateway,
    shop: Shop,
    payment: Payment,
    plan: Plan,
    *,
    customer: Customer | None,
) -> Payment:
    """Create a Checkout Session, and return the payment with it stored.

    ``customer`` returns the id of the customer at Stripe to whom the card is
    saved; None saves no card. Raises ``stripe_unavailable`` after FAULTS_MAX
    failed tries.
    """
    saves_to = customer("") if customer else ""
    for _ in range(FAULTS_MAX):
        params = session_params(shop, payment, plan, saves_to)
        try:
            session = gateway.create_session(
                params, f"{payment.payment_id}-{payment.attempt}"
            )
        except StripeServerError:
            payment = _begin_next_attempt(books, payment)
            continue
        except StripeRefusedError as refused:
            if customer is None or refused.refusal.get("param") != "customer":
                raise
            saves_to = customer(saves_to)
            payment = _begin_next_attempt(books, payment)
            continue
        return _attach(books, gateway, payment, session)
    detail = "Stripe has trouble at the moment. Nothing was charged; please try again."
    raise BillingError("stripe_unavailable", detail)


def _begin_next_attempt(books: Books, payment: Payment) -> Payment:
    """Return the payment with its ``attempt`` raised by one, and store it.

    So the next request has another idempotency key at Stripe. With the old
    key, Stripe would replay its error for a day:
    https://docs.stripe.com/api/idempotent_requests. If Stripe created a
    session all the same, no buyer knows its URL, and it expires unpaid.
    """
    key = (user_key(payment.user_id), payment.payment_id)
    must = (exists("owner"), equals("attempt", payment.attempt))
    try:
        books.store.commit(
            Write("payments", key, add={"attempt": 1}, must=must)
        )
    except ConditionFailedError:
        return find_payment(books, payment.user_id, payment.payment_id)
    return replace(payment, attempt=payment.attempt + 1)


def _attach(
    books: Books, gateway: Gateway, payment: Payment, session: Mapping[str, Any]
) -> Payment:
    """Store the session on the payment, and return the payment.

    It also writes the row that leads from the session's id to the payment.
    If a concurrent request has stored another session, that one stays,
    because a buyer may be paying it.
    """
    assert session["url"], "a new session is open"  # noqa: S101 - Stripe's rule
    attached = replace(
        payment,
        session_id=session["id"],
        url=session["url"],
        expires_at=from_epoch(session["expires_at"]),
    )
    names = ("session_id", "url", "expires_at")
    values = {name: getattr(attached, name) for name in names}
    must = (exists("owner"), absent_or("session_id", "==", attached.session_id))
    owner = user_key(payment.user_id)
    leads = {"payment_id": payment.payment_id}
    try:
        books.store.commit(
            Write(
                "payments", (owner, payment.payment_id), set=values, must=must
            ),
            Write("payments", (owner, attached.session_id), set=leads),
        )
    except ConditionFailedError:
        return _close_late_session(books, gateway, attached)
    return attached


def _close_late_session(
    books: Books, gateway: Gateway, late: Payment
) -> Payment:
    """Expire our session after a lost race. Return the payment as stored.

    ``late`` is the payment with our session, and the stored one has the
    session of a concurrent request. No buyer has our session's URL, because a
    URL is answered only after its session is stored. If it stayed open, the
    purchase could be paid twice. If expiring it fails, it expires by itself
    within a day. If it is paid all the same, the webhook credits nothing and
    keeps the event for an operator.
    """
    payment = find_payment(books, late.user_id, late.payment_id)
    with suppress(BillingError, StripeServerError, StripeNotFoundError):
        gateway.expire_session(late.session_id)
    if not payment.url:
        session = (
            f"session {payment.session_id}, whose address was never answered"
        )
        message = f"payment {late.payment_id} has {session}"
        raise OutcomeUnknownError(message)
    return payment
