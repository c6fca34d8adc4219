"""Checkout: the payment is recorded, then Stripe is asked for a session, under a key that comes from the payment."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from billing.books import Books
from billing.clock import epoch, from_epoch, stamp, to_epoch
from billing.errors import BillingError, ConditionFailedError, OutcomeUnknownError
from billing.ids import digest, new_id
from billing.money import decimal_string
from billing.payments.payment import Payment, Phase
from billing.payments.plans import Plan
from billing.settings import TaxBehavior
from billing.storage.keys import user_key
from billing.storage.writes import Write, absent, absent_or, creates, equals, exists
from billing.stripe_api.client import Gateway, StripeNotFoundError, StripeServerError

if TYPE_CHECKING:  # it takes longer to import than the rest of a checkout
    from stripe.params.checkout import SessionCreateParams

FAULTS_MAX: Final = 2
"""How many of Stripe's 5xx one request answers with a new key before it gives up."""
REMEMBERED_SECONDS: Final = 23 * 3600
"""Stripe keeps an idempotency key for at least 24 hours: asked later, it may make a second session
for one payment.

One hour less, for the two clocks and the request itself:
https://docs.stripe.com/api/idempotent_requests.
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """Where buyers come from and go back to, and what the template switched on.

    URLs never come from the caller.
    """

    site_url: str
    stack_name: str
    """For people who look at Stripe's dashboard; names are not unique."""
    deployment: str
    allow_promotion_codes: bool
    automatic_tax: bool
    invoice_creation: bool
    tax_behavior: TaxBehavior = "exclusive"
    """Whether prices include tax, where ``automatic_tax`` is on."""


def create(
    books: Books, gateway: Gateway, shop: Shop, user_id: str, plan: Plan, *, key: str
) -> dict[str, Any]:
    """Answer with a session to pay at.

    ``key``: the caller's Idempotency-Key or "". Two DynamoDB calls, one to Stripe.
    """
    payment = _recorded(books, user_id, plan, key)
    if not payment.url:
        payment = _with_session(books, gateway, shop, payment, plan)
    return _answer(payment)


def session_params(shop: Shop, payment: Payment, plan: Plan) -> "SessionCreateParams":
    """Stripe's parameters.

    The metadata goes on the payment intent too: Stripe does not copy it there.

    https://docs.stripe.com/api/checkout/sessions/create
    """
    metadata = {
        "payment_id": payment.payment_id,
        "user_id": payment.user_id,
        "plan": payment.plan,
        "quota": str(payment.quota),
        "stack": shop.stack_name,
        "deployment": shop.deployment,
    }
    product = {"name": plan.name, "description": plan.description}
    price: dict[str, Any] = {
        "currency": payment.currency,
        "unit_amount": payment.amount_minor,
        "product_data": product,
    }
    params: dict[str, Any] = {
        "mode": "payment",
        "line_items": [{"price_data": price, "quantity": 1}],
        "success_url": f"{shop.site_url}/?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{shop.site_url}/?cancelled=1",
        "client_reference_id": payment.payment_id,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        "adaptive_pricing": {"enabled": False},
    }
    if shop.allow_promotion_codes:
        params["allow_promotion_codes"] = True
    if shop.automatic_tax:
        # Required unless the account's tax settings have a default. The tax code is the account's
        # preset one:
        # https://docs.stripe.com/tax/products-prices-tax-codes-tax-behavior
        price["tax_behavior"] = shop.tax_behavior
        params["automatic_tax"] = {"enabled": True}
    if shop.invoice_creation:
        params["invoice_creation"] = {"enabled": True}
    return params  # type: ignore[return-value]


def _recorded(books: Books, user_id: str, plan: Plan, key: str, instead_of: str = "") -> Payment:
    """The payment as a new row, or the one that the key leads to.

    ``instead_of``: the payment that the key shall lead to no longer.
    """
    now = books.clock()
    payment = Payment.of(plan, new_id("pay", now), user_id, stamp(now))
    owner = user_key(user_id)
    writes = [creates("payments", (owner, payment.payment_id), payment.to_item())]
    if key:
        kept = {"payment_id": payment.payment_id, "plan": plan.id}
        free = equals("payment_id", instead_of) if instead_of else absent("owner")
        writes.append(Write("payments", (owner, f"key#{digest(key)}"), set=kept, must=(free,)))
    try:
        books.store.commit(*writes)
    except ConditionFailedError as refused:
        kept_before = refused.old.get(1)
        if not kept_before:
            raise
        if kept_before["plan"] != plan.id:
            detail = (
                "this Idempotency-Key was used with another body; send a new key for a new purchase"
            )
            raise BillingError("idempotency_conflict", detail) from refused
        return _repeated(books, user_id, plan, key, kept_before["payment_id"])
    return payment


def _repeated(books: Books, user_id: str, plan: Plan, key: str, payment_id: str) -> Payment:
    """The payment that a repeat goes on with.

    One whose answer nobody has heard, and that Stripe can no longer be asked for, gives way to a
    new one at today's price: a repeat after a failure succeeds, and no payment has two sessions.
    Where money may have moved, nothing is sold again.
    """
    payment = _found(books, user_id, payment_id)
    if payment.url:
        return payment
    if payment.phase > Phase.EXPIRED:
        detail = f"this key's purchase was paid, is being paid or failed: see {payment_id}; send a new key for a new purchase"
        raise BillingError("idempotency_conflict", detail)
    remembered = epoch(books.clock()) - to_epoch(payment.created_at) < REMEMBERED_SECONDS
    if remembered and payment.phase < Phase.EXPIRED:
        return payment
    return _recorded(books, user_id, plan, key, instead_of=payment_id)


def _found(books: Books, user_id: str, payment_id: str) -> Payment:
    item = books.store.get("payments", (user_key(user_id), payment_id))
    if item is None:
        message = f"payment {payment_id} is named by a key but is not there"
        raise OutcomeUnknownError(message)
    return Payment.from_item(item)


def _with_session(
    books: Books, gateway: Gateway, shop: Shop, payment: Payment, plan: Plan
) -> Payment:
    for _ in range(FAULTS_MAX):
        try:
            session = gateway.create_session(
                session_params(shop, payment, plan), f"{payment.payment_id}-{payment.attempt}"
            )
        except StripeServerError:
            payment = _next_attempt(books, payment)
            continue
        return _attached(books, gateway, payment, session)
    raise BillingError(
        "stripe_unavailable",
        "Stripe has trouble at the moment. Nothing was charged; please try again.",
    )


def _next_attempt(books: Books, payment: Payment) -> Payment:
    """Stripe would replay its fault under this key for a day: https://docs.stripe.com/api/idempotent_requests.

    Should that fault have left a session behind, nobody has its address: it expires unpaid.
    """
    key = (user_key(payment.user_id), payment.payment_id)
    try:
        books.store.commit(
            Write(
                "payments",
                key,
                add={"attempt": 1},
                must=(exists("owner"), equals("attempt", payment.attempt)),
            )
        )
    except ConditionFailedError:
        return _found(books, payment.user_id, payment.payment_id)
    return replace(payment, attempt=payment.attempt + 1)


def _attached(
    books: Books, gateway: Gateway, payment: Payment, session: Mapping[str, Any]
) -> Payment:
    """Note the session on the payment, and lead from the session's id to it.

    The first one stays: somebody may be paying it.
    """
    assert session["url"], (
        "Stripe answers a create with an open session, and repeats that answer as it was"
    )
    noted = replace(
        payment,
        session_id=session["id"],
        url=session["url"],
        expires_at=from_epoch(session["expires_at"]),
    )
    owner = user_key(payment.user_id)
    values = {"session_id": noted.session_id, "url": noted.url, "expires_at": noted.expires_at}
    first = absent_or("session_id", "==", noted.session_id)
    try:
        books.store.commit(
            Write(
                "payments", (owner, payment.payment_id), set=values, must=(exists("owner"), first)
            ),
            Write("payments", (owner, noted.session_id), set={"payment_id": payment.payment_id}),
        )
    except ConditionFailedError:
        return _outrun(books, gateway, noted)
    return noted


def _outrun(books: Books, gateway: Gateway, late: Payment) -> Payment:
    """Another request under the same key was first: its session is answered, and the late one is closed at Stripe.

    Sessions are told once they are attached: nobody has this one's address, so that closing it takes nothing from anybody.
    Left open it could only be paid beside the first. Should closing fail, it ends unpaid within a day; should it be paid
    all the same, settlement keeps that for a person or until the first has expired.
    """
    payment = _found(books, late.user_id, late.payment_id)
    with suppress(BillingError, StripeServerError, StripeNotFoundError):
        gateway.expire_session(late.session_id)
    if not payment.url:
        message = f"payment {late.payment_id} is session {payment.session_id}'s, which was never told to anybody"
        raise OutcomeUnknownError(message)
    return payment


def _answer(payment: Payment) -> dict[str, Any]:
    """The first answer, whatever became of the payment since: a repeat replays it."""
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
