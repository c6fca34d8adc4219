"""Creates and changes refunds, with their events in Stripe's order.

https://docs.stripe.com/refunds
"""

from typing import Any, Final

from infra.stripe_simulator.errors import ConflictError, StripeFault, bad_integer
from infra.stripe_simulator.objects import money
from infra.stripe_simulator.objects.world import World, merge_metadata
from infra.stripe_simulator.store import Thing

BLOCKING: Final = ("needs_response", "under_review", "lost")
"""The statuses of a dispute in which its charge cannot be refunded."""
NEXT: Final = {
    "requires_action": ("pending", "failed", "canceled"),
    "pending": ("succeeded", "failed", "canceled"),
    "succeeded": ("failed", "canceled"),
}
"""What a refund in each state may become: https://docs.stripe.com/refunds#failed-refunds, and
https://support.stripe.com/questions/canceling-a-refund for what the Dashboard cancels."""
FAILURE_REASONS: Final = {"failed": "lost_or_stolen_card", "canceled": "merchant_request"}
"""The ``failure_reason`` of a refund that failed or was canceled:
https://docs.stripe.com/api/refunds/object#refund_object-failure_reason
"""


def create_refund(world: World, asked: dict[str, Any]) -> Thing:
    """Refund a charge, and return the refund.

    Without ``amount`` it is all that has not been refunded yet.
    https://docs.stripe.com/api/refunds/create
    """
    charge = _refundable(world, asked)
    left = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise StripeFault(400, message, code="charge_already_refunded", began=True)
    amount = asked.get("amount", left)
    if amount < 1:
        raise bad_integer("Invalid positive integer", "amount")
    if amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
        raise bad_integer(message, "amount")
    status = _first_status(charge, asked)
    refund = money.refund(world.store, charge, amount, asked, status)
    refund = _move_refund(world, refund) if status == "succeeded" else world.store.put(refund)
    world.happened("refund.created", refund)
    before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge = _set_refunded(world, charge, charge["amount_refunded"] + amount)
    world.happened("charge.refunded", charge, before)
    return refund


def _first_status(charge: Thing, asked: dict[str, Any]) -> str:
    """Return the status of a new refund.

    It is ``succeeded`` for a card. For other payment methods it is ``pending``, or
    ``requires_action`` if the refund needs bank details: Stripe then asks for them at the address
    ``instructions_email``. https://docs.stripe.com/api/refunds/create
    """
    if charge["payment_method_details"]["type"] == "card":
        return "succeeded"
    return "requires_action" if "instructions_email" in asked else "pending"


def _refundable(world: World, asked: dict[str, Any]) -> Thing:
    """Return the charge to refund.

    Raises StripeFault if the charge has not succeeded or has been charged back.
    """
    if "charge" not in asked and "payment_intent" not in asked:
        message = (
            "One of the following params should be provided for this request:"
            " payment_intent or charge."
        )
        raise StripeFault(400, message)
    charge_id = asked["charge"] if "payment_intent" not in asked else _charge_id(world, asked)
    charge = world.need("charge", charge_id, "charge")
    if charge["status"] != "succeeded":
        message = f"Charge {charge['id']} is {charge['status']} and cannot be refunded."
        raise StripeFault(400, message, param="charge", began=True)
    disputes = world.store.newest_first("dispute")
    if any(row["charge"] == charge["id"] and row["status"] in BLOCKING for row in disputes):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise StripeFault(400, message, code="charge_disputed", began=True)
    return charge


def _charge_id(world: World, asked: dict[str, Any]) -> str:
    """Return the id of the successful charge of the payment intent in ``asked``.

    Raises StripeFault if there is none, or if ``asked`` also names another charge.
    """
    intent = world.need("payment_intent", asked["payment_intent"], "payment_intent")
    latest = intent["latest_charge"]
    if intent["status"] != "succeeded" or asked.get("charge", latest) != latest:
        message = (
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        )
        raise StripeFault(400, message, param="payment_intent", began=True)
    return str(latest)


def change_refund(world: World, name: str, status: str) -> Thing:
    """Change the refund's status and return it.

    A failed or canceled refund no longer counts in the charge's ``amount_refunded``. Raises
    ConflictError for a change that Stripe does not make.
    """
    refund = world.need("refund", name)
    if status not in NEXT.get(refund["status"], ()):
        message = f"refund {name} is {refund['status']}: it cannot become {status}"
        raise ConflictError(message)
    before = {"status": refund["status"]}
    changed = {**refund, "status": status}
    for ended in ("pending_reason", "next_action"):
        changed.pop(ended, None)
    if status == "pending":
        changed["pending_reason"] = "processing"
    if status in FAILURE_REASONS:
        changed = _undo_refund(world, changed)
    changed = _move_refund(world, changed) if status == "succeeded" else world.store.put(changed)
    _send_refund_updated(world, changed, before)
    if status == "failed":
        world.happened("refund.failed", changed, before)
    return changed


def _undo_refund(world: World, refund: Thing) -> Thing:
    """Undo a failed or canceled refund, and return it with its ``failure_reason``.

    The charge's ``amount_refunded`` goes down again.
    """
    charge = world.need("charge", refund["charge"])
    _set_refunded(world, charge, charge["amount_refunded"] - refund["amount"])
    undone = {**refund, "failure_reason": FAILURE_REASONS[refund["status"]]}
    if refund["status"] == "failed" or refund["balance_transaction"]:
        amount = refund["amount"]
        row = money.balance_row(world.store, refund, amount, "refund_failure")
        undone["failure_balance_transaction"] = world.store.put(row)["id"]
    return undone


def cancel_refund(world: World, name: str) -> Thing:
    """Cancel a refund that waits for the customer, and return it.

    https://docs.stripe.com/api/refunds/cancel
    """
    refund = world.need("refund", name)
    if refund["status"] != "requires_action":
        message = (
            f"Refund {name} is {refund['status']}: only one that requires_action can be canceled"
        )
        raise StripeFault(400, message, began=True)
    return change_refund(world, name, "canceled")


def update_refund(world: World, name: str, metadata: dict[str, str]) -> Thing:
    """Change the refund's metadata, and return it.

    https://docs.stripe.com/api/refunds/update
    """
    refund = world.need("refund", name)
    changed = world.change(refund, metadata=merge_metadata(refund["metadata"], metadata))
    _send_refund_updated(world, changed, {"metadata": refund["metadata"]})
    return changed


def _send_refund_updated(world: World, refund: Thing, before: Thing) -> None:
    world.happened("refund.updated", refund, before)
    world.happened("charge.refund.updated", refund, before)


def _move_refund(world: World, refund: Thing) -> Thing:
    row = world.store.put(money.balance_row(world.store, refund, -refund["amount"], "refund"))
    return world.change(refund, balance_transaction=row["id"])


def _set_refunded(world: World, charge: Thing, amount: int) -> Thing:
    return world.change(charge, amount_refunded=amount, refunded=amount == charge["amount"])
