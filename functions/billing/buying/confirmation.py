"""Asks Stripe about a payment for the success page.

So the buyer sees the new balance, even if the webhook has not come yet. It
settles the payment in the same way as the webhook.
"""

from collections.abc import Callable

from billing.books import Books
from billing.buying.queries import find
from billing.errors import BillingError
from billing.payments.payment import Payment, Phase
from billing.settlement import settlement
from billing.stripe_api import objects
from billing.stripe_api.claims import Ignored
from billing.stripe_api.client import Gateway
from billing.stripe_api.outcomes import StripeNotFoundError


def confirm(
    books: Books,
    gateway: Gateway,
    user_id: str,
    name: str,
    missing: Callable[[StripeNotFoundError, Payment], None] = lambda *_: None,
) -> Payment:
    """Return a payment, updated with what Stripe says of it now.

    If Stripe says that it is paid, its units are credited. ``name`` is the id
    of the payment, its Checkout Session or its payment intent. ``missing`` is
    called if Stripe does not know a session that we made: our secret key then
    belongs to another Stripe account or mode. The payment is then returned as
    it is stored.
    """
    payment = find(books, user_id, name)
    if payment.phase is Phase.PAID or not payment.funding_id:
        return payment
    try:
        purchase = gateway.purchase(payment.funding_id)
    except StripeNotFoundError as error:
        missing(error, payment)
        return payment
    fact = objects.purchase(purchase, "confirm", books.ours)
    if isinstance(fact, Ignored):
        return payment
    settlement.apply(books, fact)
    return find(books, user_id, payment.payment_id)


def receipt_url(books: Books, gateway: Gateway, user_id: str, name: str) -> str:
    """Return the URL of a payment's receipt at Stripe.

    ``name`` is the id of the payment, session or intent. Raises
    ``not_found`` if it has no receipt, because nothing was paid.
    """
    payment = find(books, user_id, name)
    try:
        url = (
            gateway.receipt_url(payment.payment_intent)
            if payment.payment_intent
            else None
        )
    except StripeNotFoundError:
        url = None
    if not url:
        raise BillingError(
            "not_found", "this payment has no receipt: nothing was paid"
        )
    return url
