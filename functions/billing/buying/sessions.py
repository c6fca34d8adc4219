"""Asks Stripe for the session of a payment, and notes it on the payment.

The idempotency key for Stripe comes from the payment's id.
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
"""After how many of Stripe's 5xx, each retried under a new key, a request fails."""
Customer = Callable[[str], str]
"""Returns the customer whose card is saved. Given an id, it returns another customer instead: that
one was deleted at Stripe."""


def make_session(
    books: Books,
    gateway: Gateway,
    shop: Shop,
    payment: Payment,
    plan: Plan,
    *,
    customer: Customer | None,
) -> Payment:
    """Ask Stripe for a session and note it on the payment. Raises ``stripe_unavailable``."""
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
    """Count the attempt, which makes a new key to Stripe.

    Stripe would replay its fault under the old key for a day:
    https://docs.stripe.com/api/idempotent_requests. If that fault left a session behind, its
    address was never given to a buyer, and it expires unpaid.
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
    """Note the session on the payment, and lead from the session's id to it.

    If a concurrent request attached another session, that one stays: a buyer may be paying it.
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
    """Close our session after a lost race, and go on with the one that is attached.

    An address is answered only once its session is attached, so no buyer has the late one's. Left
    open it could only be paid beside the first. If closing fails, it expires within a day. If it is
    paid all the same, settlement parks it for an operator or until the first has expired.
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
