"""Pays, settles and expires Checkout Sessions, with their events in Stripe's order.

https://docs.stripe.com/payments/checkout/how-checkout-works and
https://docs.stripe.com/checkout/fulfillment.
"""

from typing import Any

from infra.stripe_simulator.errors import ConflictError, StripeFault
from infra.stripe_simulator.objects import attempts, cards, checkout, customers, instruments
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing


def create(world: World, asked: dict[str, Any]) -> Thing:
    """Create a Checkout Session from the request's parameters ``asked``, and return it.

    Its line items and ``payment_intent_data`` are stored apart from it, with ``Store.note``.
    """
    session = world.store.put(checkout.session(world.store, asked, world.base_url))
    items = [checkout.line_item(world.store, row) for row in asked["line_items"]]
    world.store.note(f"items:{session['id']}", items)
    world.store.note(f"intent:{session['id']}", asked.get("payment_intent_data", {}))
    return session


def line_items(world: World, session_id: str) -> list[Thing]:
    """Return the session's line items."""
    rows: list[Thing] = world.store.note(f"items:{session_id}") or []
    return rows


def expire(world: World, name: str) -> Thing:
    """Expire an open Checkout Session, and return it. Sends ``checkout.session.expired``.

    Raises Stripe's 400 unless the session is open.
    https://docs.stripe.com/api/checkout/sessions/expire
    """
    session = world.need("checkout.session", name)
    if session["status"] != "open":
        message = (
            'Only Checkout Sessions with a status in ["open"] can be expired.'
            f" This Checkout Session has a status of {session['status']}."
        )
        raise StripeFault(400, message, began=True)
    session = world.change(session, status="expired", url=None)
    world.happened("checkout.session.expired", session)
    return session


def expire_overdue(world: World) -> None:
    """Expire all open sessions whose time is over."""
    for name in world.store.overdue_sessions():
        with world.store.transaction():
            expire(world, name)


def pay(world: World, name: str, method: str, card: str = "") -> Thing:
    """Act as the buyer who pays a session, and return the session.

    ``method`` is ``card``, ``delayed`` (a bank debit that ends later) or ``declined``. ``card`` is
    the id or the number of a test card. The buyer authenticates if the bank asks. Raises
    ConflictError unless the session is open.
    """
    session = world.need("checkout.session", name)
    if session["status"] != "open":
        message = f"session {name} is {session['status']}: only an open one can be paid"
        raise ConflictError(message)
    if session["amount_total"] == 0:
        return _complete(world, session, "no_payment_required")
    session, intent = _ensure_intent(world, session)
    if method == "delayed":
        attempts.submit(world, intent, instruments.make_bank(world))
        return _complete(world, session, "unpaid")
    chosen = _card(method, card)
    found = instruments.make_card(world, chosen)
    if chosen.outcome != cards.SUCCEED:
        attempts.decline(world, intent, found, chosen.outcome)
        return session
    attempts.succeed(world, intent, found)
    return _complete(world, session, "paid")


def _card(method: str, text: str) -> cards.TestCard:
    if not text:
        text = "pm_card_visa" if method == "card" else "pm_card_visa_chargeDeclined"
    found = cards.find(text)
    if found is None:
        raise ConflictError(f"{text} is none of Stripe's test cards that are simulated")
    return found


def settle(world: World, name: str, outcome: str) -> Thing:
    """End the delayed payment of a session as ``succeeded`` or ``failed``. Returns the session.

    Raises ConflictError if no delayed payment is under way.
    """
    session = world.need("checkout.session", name)
    intent = world.store.get("payment_intent", session["payment_intent"] or "")
    if intent is None or intent["status"] != "processing":
        state = f"{session['status']} and {session['payment_status']}"
        message = f"session {name} is {state}: no delayed payment is under way"
        raise ConflictError(message)
    if outcome == "failed":
        attempts.settle_as_failed(world, intent)
        world.happened("checkout.session.async_payment_failed", session)
        return session
    attempts.settle(world, intent)
    session = world.change(session, payment_status="paid")
    world.happened("checkout.session.async_payment_succeeded", session)
    return session


def _ensure_intent(world: World, session: Thing) -> tuple[Thing, Thing]:
    """Return the session and its payment intent, which is made if there is none yet.

    Stripe makes the intent at the buyer's first attempt to pay.
    """
    if session["payment_intent"]:
        return session, world.need("payment_intent", session["payment_intent"])
    session = _ensure_customer(world, session)
    data = world.store.note(f"intent:{session['id']}") or {}
    base = {
        "amount": session["amount_total"],
        "currency": session["currency"],
        "customer": session["customer"],
        "payment_method_types": session["payment_method_types"],
    }
    intent = world.store.put(checkout.payment_intent(world.store, base, data))
    world.store.note(f"session_of:{intent['id']}", session["id"])
    world.happened("payment_intent.created", intent)
    return world.change(session, payment_intent=intent["id"]), intent


def _ensure_customer(world: World, session: Thing) -> Thing:
    """Return the session, with a new customer if its parameters ask for one.

    https://docs.stripe.com/api/checkout/sessions/create#create_checkout_session-customer_creation
    """
    if session["customer"] or session["customer_creation"] != "always":
        return session
    details = checkout.customer_details()
    known = {"email": session["customer_email"] or details["email"], "name": details["name"]}
    return world.change(session, customer=customers.create(world, known)["id"])


def _complete(world: World, session: Thing, payment_status: str) -> Thing:
    customer = world.store.get("customer", session["customer"] or "")
    session = world.change(
        session,
        status="complete",
        payment_status=payment_status,
        url=None,
        customer_details=checkout.customer_details(customer),
    )
    world.happened("checkout.session.completed", session)
    return session
