"""Creates checkouts: records a payment, then asks Stripe for a session to pay it.

The idempotency key for Stripe comes from the payment's id.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from billing.books import Books
from billing.clock import epoch, from_epoch, stamp, to_epoch
from billing.errors import (
    BillingError,
    ConditionFailedError,
    Item,
    OutcomeUnknownError,
    StripeRefusedError,
)
from billing.ids import digest, new_id
from billing.money import decimal_string
from billing.payments.payment import Payment, Phase
from billing.payments.plan import Plan
from billing.settings import TaxBehavior
from billing.storage.keys import user_key
from billing.storage.writes import (
    Write,
    absent,
    absent_or,
    creates,
    equals,
    exists,
)
from billing.stripe_api.claims import metadata
from billing.stripe_api.client import (
    Gateway,
    StripeNotFoundError,
    StripeServerError,
)

if TYPE_CHECKING:  # its import takes longer than the rest of a checkout
    from stripe.params.checkout import SessionCreateParams

FAULTS_MAX: Final = 2
"""After how many of Stripe's 5xx, each retried under a new key, a request fails."""
REMEMBERED_SECONDS: Final = 23 * 3600
"""Stripe keeps an idempotency key for at least 24 hours. After that, a retry may make a second
session for one payment.

One hour less, for the difference of the clocks and for the request itself:
https://docs.stripe.com/api/idempotent_requests.
"""


Customer = Callable[[str], str]
"""Returns the customer whose card is saved. Given an id, it returns another customer instead: that
one was deleted at Stripe."""


@dataclass(frozen=True, slots=True)
class Shop:
    """The stack's settings for checkouts. Addresses never come from the caller."""

    site_url: str
    stack_name: str
    """Shown in Stripe's dashboard. Names are not unique."""
    deployment: str
    allow_promotion_codes: bool
    automatic_tax: bool
    invoice_creation: bool
    tax_behavior: TaxBehavior = "exclusive"
    """Whether prices include tax, where ``automatic_tax`` is on."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a caller asks for: the same under one Idempotency-Key."""

    user_id: str
    plan: Plan
    saves_card: bool = False

    @property
    def body(self) -> dict[str, Any]:
        """What is kept under the key to compare a repeat with."""
        saves = {"remember_card": True} if self.saves_card else {}
        return {"plan": self.plan.id, **saves}

    def is_repeated_by(self, under_key: Item) -> bool:
        """Whether what stands under the key is of the same order."""
        kept = (under_key["plan"], under_key.get("remember_card", False))
        return kept == (self.plan.id, self.saves_card)


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

    ``key`` is the caller's Idempotency-Key or "". Calls under one key create one payment.
    ``customer``: whose card is saved, None to save none. A checkout makes two calls to DynamoDB and
    one to Stripe.
    """
    order = Order(user_id, plan, saves_card=customer is not None)
    payment = _record(books, order, key)
    if not payment.url:
        payment = _make_session(
            books, gateway, shop, payment, plan, customer=customer
        )
    return _answer(payment)


def session_params(
    shop: Shop, payment: Payment, plan: Plan, customer: str = ""
) -> "SessionCreateParams":
    """Return Stripe's parameters for the Checkout Session of a payment.

    ``customer``: whose card is saved, "" to save none.
    The metadata goes on the payment intent too: Stripe does not copy it there.
    https://docs.stripe.com/api/checkout/sessions/create
    """
    claims = metadata(shop.stack_name, shop.deployment, **payment.claims)
    params: dict[str, Any] = {
        "mode": "payment",
        "line_items": [
            {"price_data": _price(shop, payment, plan), "quantity": 1}
        ],
        "success_url": f"{shop.site_url}/?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{shop.site_url}/?cancelled=1",
        "client_reference_id": payment.payment_id,
        "metadata": claims,
        "payment_intent_data": {"metadata": claims},
        "adaptive_pricing": {"enabled": False},
    }
    if shop.allow_promotion_codes:
        params["allow_promotion_codes"] = True
    if shop.automatic_tax:
        params["automatic_tax"] = {"enabled": True}
    if shop.invoice_creation:
        params["invoice_creation"] = {"enabled": True}
    if customer:
        params |= _saving(shop, customer)
        params["payment_intent_data"]["setup_future_usage"] = "off_session"
    return params  # type: ignore[return-value]


def _saving(shop: Shop, customer: str) -> dict[str, Any]:
    """The session's parameters that save the card to a customer, which the page tells the buyer.

    https://docs.stripe.com/payments/checkout/save-during-payment. Tax is computed for the address
    of the customer, so the one that is typed in must become it:
    https://docs.stripe.com/tax/checkout.
    """
    saving: dict[str, Any] = {"customer": customer}
    if shop.automatic_tax:
        saving["customer_update"] = {"address": "auto"}
    return saving


def _price(shop: Shop, payment: Payment, plan: Plan) -> dict[str, Any]:
    """Stripe's ``price_data``.

    With automatic tax, the tax behavior is required unless the account's tax settings have a
    default. The tax code is the account's preset one:
    https://docs.stripe.com/tax/products-prices-tax-codes-tax-behavior
    """
    price: dict[str, Any] = {
        "currency": payment.currency,
        "unit_amount": payment.amount_minor,
        "product_data": {"name": plan.name, "description": plan.description},
    }
    if shop.automatic_tax:
        price["tax_behavior"] = shop.tax_behavior
    return price


def _record(
    books: Books, order: Order, key: str, instead_of: str = ""
) -> Payment:
    """Record a new payment under the key, or go on with the one that the key leads to.

    ``instead_of``: the payment to which the key must still lead, and leads no longer then. What
    stands under the key, and what a repeat does::

        under the key                              a repeat
        nothing                                    records a new payment
        another order: its plan, or its card       409 idempotency_conflict
        a payment with a session                   answers that session again
        paid, being paid, or failed, no session    409 idempotency_conflict
        no session, Stripe remembers our key       asks Stripe again under the same key
        no session, and expired or too old         records a new payment at today's price

    A payment without a session is one whose answer never reached the caller. A new one is safe then
    only because Stripe cannot be asked for the old one any more: no payment has two sessions.
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
    """Return the payment that a repeat goes on with: see the table of _record."""
    if not order.is_repeated_by(under_key):
        detail = (
            "this Idempotency-Key was used with another body; "
            "send a new key for a new purchase"
        )
        raise BillingError("idempotency_conflict", detail)
    payment = _find(books, order.user_id, under_key["payment_id"])
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
    return _record(books, order, key, instead_of=payment.payment_id)


def _find(books: Books, user_id: str, payment_id: str) -> Payment:
    item = books.store.get("payments", (user_key(user_id), payment_id))
    if item is None:
        message = f"payment {payment_id} is named by a key but is not there"
        raise OutcomeUnknownError(message)
    return Payment.from_item(item)


def _make_session(
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
        return _find(books, payment.user_id, payment.payment_id)
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
    payment = _find(books, late.user_id, late.payment_id)
    with suppress(BillingError, StripeServerError, StripeNotFoundError):
        gateway.expire_session(late.session_id)
    if not payment.url:
        session = (
            f"session {payment.session_id}, whose address was never answered"
        )
        message = f"payment {late.payment_id} has {session}"
        raise OutcomeUnknownError(message)
    return payment


def _answer(payment: Payment) -> dict[str, Any]:
    """Return the first answer. A repeat gets the same, whatever became of the payment since."""
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
