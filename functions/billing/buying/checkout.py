"""Creates checkouts: records a payment, then asks Stripe for a session to pay it."""

from typing import Any

from billing.books import Books
from billing.buying.orders import Order, record
from billing.buying.session_params import Shop
from billing.buying.sessions import Customer, make_session
from billing.money import decimal_string
from billing.payments.payment import Payment
from billing.payments.plan import Plan
from billing.stripe_api.client import Gateway


def create(
    books: Books,
    gateway: Gateway,
    shop: Shop,
    user_id: str,
    plan: Plan,
    *,
    key: str,
    customer: Customer | None = None,
) -> dict[str, Any]:
    """Record a payment, create its Checkout Session, and return both.

    ``key`` is the caller's Idempotency-Key or "". Calls with the same key
    create one payment. ``customer`` returns the customer at Stripe to whom
    the card is saved; None saves no card. A checkout makes two calls to
    DynamoDB and one to Stripe.
    """
    order = Order(user_id, plan, saves_card=customer is not None)
    payment = record(books, order, key)
    if not payment.url:
        payment = make_session(
            books, gateway, shop, payment, plan, customer=customer
        )
    return _answer(payment)


def _answer(payment: Payment) -> dict[str, Any]:
    """Return the body of the HTTP response: ids, plan, price, the page's URL.

    ``status`` is always ``pending``, so that a repeat gets the same answer
    even if the payment has changed since.
    """
    return {
        "payment_id": payment.payment_id,
        "session_id": payment.session_id,
        "url": payment.url,
        "plan": payment.plan,
        "quota": payment.quota,
        "amount_minor": payment.amount_minor,
        "amount": decimal_string(payment.amount_minor, payment.currency),
        "currency": payment.currency,
        "status": "pending",
        "expires_at": payment.expires_at,
    }
