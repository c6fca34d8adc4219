"""What can happen at Stripe, and the events that follow, in the order in which Stripe sends them."""

import copy
from typing import Any, Final

import stripe

from infra.local.simulator import shapes
from infra.local.simulator.courier import Courier
from infra.local.simulator.drawers import Drawers, Thing, new_id
from infra.local.simulator.errors import StripeFault, missing

API_VERSION: Final = stripe.api_version
CLOSED: Final = ("won", "lost", "warning_closed")


class ConflictError(Exception):
    """This cannot happen in the state that things are in."""


class World:
    """The acts of one simulator."""

    def __init__(self, drawers: Drawers, courier: Courier, base_url: str) -> None:
        """``base_url`` is where buyers find the hosted page."""
        self.drawers, self.courier, self.base_url = drawers, courier, base_url

    # --- what the API is asked for ---

    def create_session(self, asked: dict[str, Any]) -> Thing:
        """A new Checkout Session; its line items and the intent's metadata are kept beside it."""
        session = self.drawers.put(shapes.session(self.drawers, asked, self.base_url))
        items = [shapes.line_item(self.drawers, row) for row in asked["line_items"]]
        intent_metadata = asked.get("payment_intent_data", {}).get("metadata", {})
        self.drawers.note(f"items:{session['id']}", items)
        self.drawers.note(f"metadata:{session['id']}", intent_metadata)
        return session

    def expire_session(self, name: str) -> Thing:
        """https://docs.stripe.com/api/checkout/sessions/expire"""
        session = self.need("checkout.session", name)
        if session["status"] != "open":
            message = f'Only Checkout Sessions with a status in ["open"] can be expired. This one is {session["status"]}.'
            raise StripeFault(400, message)
        session = self.drawers.put({**session, "status": "expired", "url": None})
        self.happened("checkout.session.expired", session)
        return session

    def create_refund(self, asked: dict[str, Any]) -> Thing:
        """https://docs.stripe.com/api/refunds/create"""
        charge = self._charge_of(asked)
        left = charge["amount"] - charge["amount_refunded"]
        if left == 0:
            raise StripeFault(400, f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        amount = asked.get("amount", left)
        if not 0 < amount <= left:
            message = (
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
                if amount > 0
                else "Invalid positive integer"
            )
            raise StripeFault(400, message, code="parameter_invalid_integer", param="amount")
        delayed = charge["payment_method_details"]["type"] != "card"
        refund = shapes.refund(self.drawers, charge, amount, asked, "pending" if delayed else "succeeded")
        self.drawers.put(refund)
        self.happened("refund.created", refund)
        self._set_refunded(charge, charge["amount_refunded"] + amount, "charge.refunded")
        return refund

    def end_refund(self, name: str, status: str) -> Thing:
        """A refund fails, is canceled, or a pending one succeeds. What fails is as if it had not been."""
        refund = self.need("refund", name)
        if refund["status"] in ("failed", "canceled") or (status == "canceled" and refund["status"] != "pending"):
            message = f"refund {name} is {refund['status']}"
            raise ConflictError(message)
        changed = {**refund, "status": status}
        if status == "failed":
            changed |= {"failure_reason": "lost_or_stolen_card", "failure_balance_transaction": new_id("balance_transaction")}
        self.drawers.put(changed)
        if status != "succeeded":
            charge = self.need("charge", refund["charge"])
            self._set_refunded(charge, charge["amount_refunded"] - refund["amount"], "")
        self.happened("refund.updated", changed, {"status": refund["status"]})
        self.happened("charge.refund.updated", changed, {"status": refund["status"]})
        if status == "failed":
            self.happened("refund.failed", changed, {"status": refund["status"]})
        return changed

    # --- what buyers and banks do ---

    def pay(self, name: str, method: str) -> Thing:
        """The buyer presses the button: ``card`` pays, ``declined`` does not, ``delayed`` pays some day."""
        session = self.need("checkout.session", name)
        if session["status"] == "open" and session["expires_at"] <= self.drawers.now():
            session = self.expire_session(name)
        if session["status"] != "open":
            message = f"session {name} is {session['status']}, not open"
            raise ConflictError(message)
        intent = self._intent(session)
        if method == "declined":
            self._fail(intent, "card_declined", "Your card was declined.")
        elif method == "delayed":
            self.drawers.put({**intent, "status": "processing", "payment_method_types": ["us_bank_account"]})
            session = self._complete(session, intent, "unpaid")
            self.happened("payment_intent.processing", self.need("payment_intent", intent["id"]))
            self.happened("checkout.session.completed", session)
        else:
            self._charged(intent, "card")
            session = self._complete(session, intent, "paid")
            self.happened("checkout.session.completed", session)
        return session

    def settle(self, name: str, outcome: str) -> Thing:
        """A delayed payment ends."""
        session = self.need("checkout.session", name)
        if session["status"] != "complete" or session["payment_status"] != "unpaid":
            message = f"session {name} is {session['status']} and {session['payment_status']}: no delayed payment is under way"
            raise ConflictError(message)
        intent = self.need("payment_intent", session["payment_intent"])
        if intent["status"] != "processing":
            message = f"the payment of session {name} is {intent['status']}"
            raise ConflictError(message)
        if outcome == "failed":
            self._fail(intent, "payment_intent_payment_attempt_failed", "The bank returned the debit.")
            self.happened("checkout.session.async_payment_failed", session)
            return session
        self._charged(intent, "us_bank_account")
        session = self.drawers.put({**session, "payment_status": "paid"})
        self.happened("checkout.session.async_payment_succeeded", session)
        return session

    def dispute(self, charge_id: str, kind: str, amount: int, *, withdraw: bool) -> Thing:
        """The buyer's bank asks, or takes the money back."""
        charge = self.need("charge", charge_id)
        if not 0 < amount <= charge["amount"]:
            message = f"amount must be 1 to {charge['amount']}"
            raise ConflictError(message)
        status = "warning_needs_response" if kind == "inquiry" else "needs_response"
        dispute = self.drawers.put(shapes.dispute(self.drawers, charge, amount, status))
        self.drawers.put({**charge, "disputed": True})
        self.happened("charge.dispute.created", dispute)
        return self.move_money(dispute["id"], -amount) if withdraw and kind != "inquiry" else dispute

    def move_money(self, name: str, amount: int) -> Thing:
        """Negative: withdrawn. Positive: given back, whatever the dispute's status says."""
        dispute = self.need("dispute", name)
        row = shapes.balance_transaction(self.drawers, dispute, amount)
        changed = self.drawers.put({**dispute, "balance_transactions": [*dispute["balance_transactions"], row]})
        self.happened("charge.dispute.funds_withdrawn" if amount < 0 else "charge.dispute.funds_reinstated", changed)
        self.happened("charge.dispute.updated", changed, {"balance_transactions": dispute["balance_transactions"]})
        return changed

    def close_dispute(self, name: str, status: str) -> Thing:
        """``won``, ``lost`` or ``warning_closed``."""
        dispute = self.need("dispute", name)
        if dispute["status"] in CLOSED:
            message = f"dispute {name} is {dispute['status']}"
            raise ConflictError(message)
        changed = self.drawers.put({**dispute, "status": status})
        self.happened("charge.dispute.closed", changed, {"status": dispute["status"]})
        return changed

    # --- what all of them share ---

    def need(self, kind: str, name: str) -> Thing:
        """The object, or Stripe's 404."""
        if thing := self.drawers.get(kind, name):
            return thing
        raise missing(kind, name)

    def happened(self, kind: str, thing: Thing, before: dict[str, Any] | None = None) -> Thing:
        """Make the event and hand it to the courier."""
        data: dict[str, Any] = {"object": copy.deepcopy(thing)}
        if before is not None:
            data["previous_attributes"] = before
        wanted = sum(target.wants(kind) for target in self.courier.targets)
        event = {
            "id": new_id("event"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.drawers.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": wanted,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self.courier.post(self.drawers.put(event))
        return event

    def twin(self, name: str) -> Thing:
        """A second event object for the same change, as Stripe sometimes makes."""
        event = {**self.need("event", name), "id": new_id("event")}
        self.courier.post(self.drawers.put(event))
        return event

    def _intent(self, session: Thing) -> Thing:
        if session["payment_intent"]:
            return self.need("payment_intent", session["payment_intent"])
        intent = shapes.payment_intent(self.drawers, session, self.drawers.note(f"metadata:{session['id']}") or {})
        self.drawers.put(intent)
        session["payment_intent"] = intent["id"]
        self.drawers.put(session)
        self.happened("payment_intent.created", intent)
        return intent

    def _charged(self, intent: Thing, method: str) -> None:
        charge = shapes.charge(self.drawers, intent, self.base_url)
        if method != "card":
            charge["payment_method_details"] = {"type": method, method: {"bank_name": "STRIPE TEST BANK", "last4": "6789"}}
        self.drawers.put(charge)
        paid = {"status": "succeeded", "latest_charge": charge["id"], "amount_received": intent["amount"], "last_payment_error": None}
        intent = self.drawers.put({**intent, **paid})
        self.happened("charge.succeeded", charge)
        self.happened("payment_intent.succeeded", intent)

    def _complete(self, session: Thing, intent: Thing, payment_status: str) -> Thing:
        details = {"address": None, "business_name": None, "email": "buyer@example.com", "individual_name": None, "name": "Jenny Rosen"}
        details |= {"phone": None, "tax_exempt": "none", "tax_ids": []}
        done = {
            "status": "complete",
            "payment_status": payment_status,
            "payment_intent": intent["id"],
            "url": None,
            "customer_details": details,
        }
        return self.drawers.put({**session, **done})

    def _fail(self, intent: Thing, code: str, message: str) -> None:
        error = {"code": code, "decline_code": "generic_decline", "message": message, "type": "card_error"}
        failed = self.drawers.put({**intent, "status": "requires_payment_method", "last_payment_error": error})
        self.happened("payment_intent.payment_failed", failed)

    def _set_refunded(self, charge: Thing, amount: int, event: str) -> None:
        before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
        changed = self.drawers.put({**charge, "amount_refunded": amount, "refunded": amount == charge["amount"]})
        if event:
            self.happened(event, changed, before)

    def _charge_of(self, asked: dict[str, Any]) -> Thing:
        if "charge" in asked:
            return self.need("charge", asked["charge"])
        if "payment_intent" not in asked:
            raise StripeFault(400, "One of the following params should be provided for this request: payment_intent or charge.")
        intent = self.need("payment_intent", asked["payment_intent"])
        if not intent["latest_charge"]:
            raise StripeFault(400, f"The PaymentIntent {intent['id']} does not have a successful charge to refund.")
        return self.need("charge", intent["latest_charge"])
