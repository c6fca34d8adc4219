"""Pays, settles and expires Checkout Sessions, with their events in Stripe's order.

https://docs.stripe.com/payments/checkout/how-checkout-works and
https://docs.stripe.com/checkout/fulfillment.
"""

from typing import Any

from infra.stripe_simulator.errors import ConflictError, StripeFault
from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.objects import charges, checkout, money
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing

BANK = "us_bank_account"


def create(world: World, asked: dict[str, Any]) -> Thing:
    """Create a session and return it.

    Its line items and payment intent data are stored as notes.
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
    """Expire an open session, by request or because its time is over.

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


def pay(world: World, name: str, method: str) -> Thing:
    """Pay a session by ``card`` now or ``delayed``, or fail with a ``declined`` card.

    Raises ConflictError unless the session is open.
    """
    session = world.need("checkout.session", name)
    if session["status"] != "open":
        message = f"session {name} is {session['status']}: only an open one can be paid"
        raise ConflictError(message)
    if session["amount_total"] == 0:
        return _complete(world, session, "no_payment_required")
    session, intent = _ensure_intent(world, session)
    if method == "declined":
        message = "Your card was declined."
        failure = {"failure_code": "card_declined", "failure_message": message}
        charge = _charge(world, intent, "card", "failed", **failure)
        _fail(world, intent, charge, message)
        return session
    if method == "delayed":
        return _submit_debit(world, session, intent)
    _succeed(world, intent, _charge(world, intent, "card", "succeeded"))
    return _complete(world, session, "paid")


def settle(world: World, name: str, outcome: str) -> Thing:
    """End a delayed payment as ``succeeded`` or ``failed``.

    Raises ConflictError if the session has none.
    """
    session = world.need("checkout.session", name)
    intent = world.store.get("payment_intent", session["payment_intent"] or "")
    if intent is None or intent["status"] != "processing":
        state = f"{session['status']} and {session['payment_status']}"
        message = f"session {name} is {state}: no delayed payment is under way"
        raise ConflictError(message)
    charge = world.need("charge", intent["latest_charge"])
    if outcome == "failed":
        _fail_debit(world, intent, charge)
        world.happened("checkout.session.async_payment_failed", session)
        return session
    url = f"{world.base_url}/receipts/{charge['id']}"
    paid = {"status": "succeeded", "paid": True, "captured": True, "receipt_url": url}
    _succeed(world, intent, _add_to_balance(world, {**charge, **paid}))
    session = world.change(session, payment_status="paid")
    world.happened("checkout.session.async_payment_succeeded", session)
    return session


def _fail_debit(world: World, intent: Thing, charge: Thing) -> None:
    message = "The customer's bank account could not be debited."
    declined = {"network_status": "declined_by_network", "type": "issuer_declined"}
    charge = world.change(
        charge,
        status="failed",
        failure_code="insufficient_funds",
        failure_message=message,
        paid=False,
        outcome={**charge["outcome"], **declined},
    )
    _fail(world, intent, charge, message)


def _ensure_intent(world: World, session: Thing) -> tuple[Thing, Thing]:
    """Return the session and its payment intent, made at the buyer's first attempt to pay."""
    if session["payment_intent"]:
        return session, world.need("payment_intent", session["payment_intent"])
    data = world.store.note(f"intent:{session['id']}") or {}
    intent = world.store.put(checkout.payment_intent(world.store, session, data))
    world.happened("payment_intent.created", intent)
    return world.change(session, payment_intent=intent["id"]), intent


def _submit_debit(world: World, session: Thing, intent: Thing) -> Thing:
    charge = _charge(world, intent, BANK, "pending")
    world.happened("charge.pending", charge)
    intent = world.change(
        intent,
        status="processing",
        latest_charge=charge["id"],
        payment_method=charge["payment_method"],
    )
    world.happened("payment_intent.processing", intent)
    return _complete(world, session, "unpaid")


def _charge(world: World, intent: Thing, method: str, status: str, **changes: Any) -> Thing:
    charge = {**charges.charge(world.store, intent, world.base_url, method, status), **changes}
    return _add_to_balance(world, charge) if status == "succeeded" else world.store.put(charge)


def _add_to_balance(world: World, charge: Thing) -> Thing:
    """Add the charge to the balance, less 2.9 % and 30 cents. https://stripe.com/pricing."""
    fee = charge["amount"] * 29 // 1000 + 30
    amount = charge["amount"]
    row = world.store.put(money.balance_row(world.store, charge, amount, "charge", fee))
    return world.change(charge, balance_transaction=row["id"], amount_captured=amount)


def _succeed(world: World, intent: Thing, charge: Thing) -> None:
    world.happened("charge.succeeded", charge)
    paid = {"status": "succeeded", "amount_received": intent["amount"], "last_payment_error": None}
    intent = world.change(
        intent, **paid, latest_charge=charge["id"], payment_method=charge["payment_method"]
    )
    world.happened("payment_intent.succeeded", intent)


def _fail(world: World, intent: Thing, charge: Thing, message: str) -> None:
    """Make the intent ask for another payment method.

    https://docs.stripe.com/payments/paymentintents/lifecycle
    """
    world.happened("charge.failed", charge)
    card = charge["payment_method_details"]["type"] == "card"
    error = {
        "advice_code": "try_again_later" if card else None,
        "charge": charge["id"],
        "code": charge["failure_code"] if card else "payment_intent_payment_attempt_failed",
        "decline_code": "generic_decline" if card else None,
        "doc_url": "https://stripe.com/docs/error-codes/card-declined" if card else None,
        "message": message,
        "network_decline_code": None,
        "payment_method": {
            "id": charge["payment_method"] or new_id("payment_method"),
            "object": "payment_method",
        },
        "type": "card_error" if card else "invalid_request_error",
    }
    error = {name: value for name, value in error.items() if value is not None}
    failed = world.change(
        intent,
        status="requires_payment_method",
        latest_charge=charge["id"],
        last_payment_error=error,
        payment_method=None,
    )
    world.happened("payment_intent.payment_failed", failed)


def _complete(world: World, session: Thing, payment_status: str) -> Thing:
    details = checkout.customer_details()
    session = world.change(
        session,
        status="complete",
        payment_status=payment_status,
        url=None,
        customer_details=details,
    )
    world.happened("checkout.session.completed", session)
    return session
