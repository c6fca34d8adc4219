"""Makes and changes refunds and disputes, with the events in Stripe's order.

https://docs.stripe.com/refunds and https://docs.stripe.com/disputes.
"""

from typing import Any, Final

from infra.stripe_simulator.errors import ConflictError, StripeFault, bad_integer
from infra.stripe_simulator.objects import money
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing

CLOSED: Final = ("won", "lost", "warning_closed")
BLOCKING: Final = ("needs_response", "under_review", "lost")
"""While a chargeback is in one of these, its charge cannot be refunded."""
NEXT: Final = {
    "requires_action": ("pending", "failed", "canceled"),
    "pending": ("succeeded", "failed", "canceled"),
    "succeeded": ("failed", "canceled"),
}
"""What a refund in each state may become: https://docs.stripe.com/refunds#failed-refunds, and
https://support.stripe.com/questions/canceling-a-refund for what the Dashboard cancels."""
FAILURE_REASONS: Final = {"failed": "lost_or_stolen_card", "canceled": "merchant_request"}
"""https://docs.stripe.com/api/refunds/object#refund_object-failure_reason"""


def create_refund(world: World, asked: dict[str, Any]) -> Thing:
    """Make a refund of at most what is left of the charge, and return it.

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

    A refund without a card is pending, or waits for the customer's bank details where
    ``instructions_email`` says whom to ask. https://docs.stripe.com/api/refunds/create
    """
    if charge["payment_method_details"]["type"] == "card":
        return "succeeded"
    return "requires_action" if "instructions_email" in asked else "pending"


def _refundable(world: World, asked: dict[str, Any]) -> Thing:
    """Return the charge to refund. Raises StripeFault where it cannot be refunded."""
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
    """Return the successful charge of the payment intent. A charge given beside it must match."""
    intent = world.need("payment_intent", asked["payment_intent"], "payment_intent")
    latest = intent["latest_charge"]
    if intent["status"] != "succeeded" or asked.get("charge", latest) != latest:
        message = (
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        )
        raise StripeFault(400, message, param="payment_intent", began=True)
    return str(latest)


def change_refund(world: World, name: str, status: str) -> Thing:
    """Bring the refund into another status, and return it. A failed one gives the amount back.

    Raises ConflictError for a step that Stripe does not make.
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
    """Take the refund back: the charge's ``amount_refunded`` goes down again."""
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
    changed = world.change(refund, metadata=merged(refund["metadata"], metadata))
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


def merged(before: dict[str, str], given: dict[str, str] | str) -> dict[str, str]:
    """Return the metadata after a change.

    An empty value removes its key, and an empty string removes all of them.
    https://docs.stripe.com/api/metadata
    """
    if isinstance(given, str):
        return {}
    return {name: value for name, value in {**before, **given}.items() if value != ""}


def dispute(
    world: World, charge_id: str, kind: str, amount: int | None, *, withdraw: bool
) -> Thing:
    """Make a dispute and return it. ``amount`` None disputes the whole charge.

    With an ``inquiry`` the buyer's bank asks a question. With a ``chargeback`` it takes the money
    back, now if ``withdraw``.
    """
    charge = world.need("charge", charge_id)
    amount = charge["amount"] if amount is None else amount
    if charge["status"] != "succeeded" or not 0 < amount <= charge["amount"]:
        state = f"{charge['status']} over {charge['amount']}"
        message = f"charge {charge_id} is {state}: {amount} of it cannot be disputed"
        raise ConflictError(message)
    status = "warning_needs_response" if kind == "inquiry" else "needs_response"
    found = world.store.put(money.dispute(world.store, charge, amount, status))
    world.change(charge, disputed=True)
    world.happened("charge.dispute.created", found)
    if withdraw and kind != "inquiry":
        return withdraw_funds(world, found["id"], amount)
    return found


def withdraw_funds(world: World, name: str, amount: int | None = None) -> Thing:
    """Withdraw ``amount``, or all that is left, and return the dispute.

    An inquiry becomes a chargeback.
    """
    found = world.need("dispute", name)
    left = found["amount"] - _withdrawn(found)
    amount = left if amount is None else amount
    if found["status"] in CLOSED or not 0 < amount <= left:
        state = f"{found['status']} and {left} of it can still be withdrawn"
        message = f"dispute {name} is {state}: not {amount}"
        raise ConflictError(message)
    before = {"balance_transactions": found["balance_transactions"]}
    if found["status"].startswith("warning"):
        before |= {"status": found["status"], "is_charge_refundable": found["is_charge_refundable"]}
        found = {**found, "status": "needs_response", "is_charge_refundable": False}
    fee = money.DISPUTE_FEE_MINOR
    row = money.balance_row(world.store, found, -amount, "dispute", fee)
    return _move_funds(world, found, row, before)


def reinstate_funds(world: World, name: str, amount: int | None = None) -> Thing:
    """Return ``amount``, or all that was withdrawn, in any status of the dispute."""
    found = world.need("dispute", name)
    out = _withdrawn(found)
    amount = out if amount is None else amount
    if not 0 < amount <= out:
        message = f"of dispute {name} {out} is out: {amount} cannot come back"
        raise ConflictError(message)
    fee = -money.DISPUTE_FEE_MINOR
    row = money.balance_row(world.store, found, amount, "dispute_reversal", fee)
    before = {"balance_transactions": found["balance_transactions"]}
    return _move_funds(world, found, row, before)


def _withdrawn(found: Thing) -> int:
    """Return the amount that the bank holds at present."""
    amounts: list[int] = [row["amount"] for row in found["balance_transactions"]]
    return -sum(amounts)


def _move_funds(world: World, found: Thing, row: Thing, before: Thing) -> Thing:
    world.store.put(row)
    changed = world.change(found, balance_transactions=[*found["balance_transactions"], row])
    act = "withdrawn" if row["amount"] < 0 else "reinstated"
    world.happened(f"charge.dispute.funds_{act}", changed)
    world.happened("charge.dispute.updated", changed, before)
    return changed


def close_dispute(world: World, name: str, status: str) -> Thing:
    """Close a dispute as ``won`` or ``lost``, an inquiry as ``warning_closed``. Moves no money."""
    found = world.need("dispute", name)
    inquiry = found["status"].startswith("warning")
    if found["status"] in CLOSED or inquiry != (status == "warning_closed"):
        message = f"dispute {name} is {found['status']}: it cannot be closed as {status}"
        raise ConflictError(message)
    changed = world.change(found, status=status)
    world.happened("charge.dispute.closed", changed, {"status": found["status"]})
    return changed


def give_in(world: World, name: str) -> Thing:
    """Close the dispute as lost, because the seller accepts it.

    https://docs.stripe.com/api/disputes/close
    """
    found = world.need("dispute", name)
    status = "warning_closed" if found["status"].startswith("warning") else "lost"
    try:
        return close_dispute(world, name, status)
    except ConflictError as conflict:
        raise StripeFault(400, "This dispute is already closed", began=True) from conflict


def update_dispute(world: World, name: str, asked: dict[str, Any]) -> Thing:
    """Change metadata and evidence. The evidence is submitted unless ``submit`` is false.

    https://docs.stripe.com/api/disputes/update
    """
    found = world.need("dispute", name)
    if found["status"] in CLOSED:
        raise StripeFault(400, "This dispute is already closed", began=True)
    changes: Thing = {"metadata": merged(found["metadata"], asked.get("metadata", {}))}
    if evidence := asked.get("evidence"):
        changes |= _evidence_changes(found, evidence, submit=asked.get("submit", True))
    changed = world.change(found, **changes)
    before = {key: found[key] for key in changes if found[key] != changes[key]}
    world.happened("charge.dispute.updated", changed, before)
    return changed


def _evidence_changes(found: Thing, evidence: Thing, *, submit: bool) -> Thing:
    details = {**found["evidence_details"], "has_evidence": True}
    changes: Thing = {"evidence": {**found["evidence"], **evidence}, "evidence_details": details}
    if submit:
        details["submission_count"] += 1
        details["submission_method"] = "manual"
        is_inquiry = found["status"].startswith("warning")
        changes["status"] = "warning_under_review" if is_inquiry else "under_review"
    return changes
