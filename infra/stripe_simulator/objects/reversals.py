"""Money that goes back: refunds and disputes, with the events in the order in which Stripe sends them.

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
    """https://docs.stripe.com/api/refunds/create: at most what is left of the charge."""
    charge = _refundable(world, asked)
    left = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        raise StripeFault(
            400,
            f"Charge {charge['id']} has already been refunded.",
            code="charge_already_refunded",
            began=True,
        )
    amount = asked.get("amount", left)
    if amount < 1:
        raise bad_integer("Invalid positive integer", "amount")
    if amount > left:
        raise bad_integer(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
            "amount",
        )
    status = _first_status(charge, asked)
    refund = money.refund(world.store, charge, amount, asked, status)
    refund = _moved(world, refund) if status == "succeeded" else world.store.put(refund)
    world.happened("refund.created", refund)
    before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    world.happened(
        "charge.refunded", _set_refunded(world, charge, charge["amount_refunded"] + amount), before
    )
    return refund


def _first_status(charge: Thing, asked: dict[str, Any]) -> str:
    """Without a card the money takes its time, and may wait for the customer's bank details.

    ``instructions_email`` is where Stripe asks for those:
    https://docs.stripe.com/api/refunds/create.
    """
    if charge["payment_method_details"]["type"] == "card":
        return "succeeded"
    return "requires_action" if "instructions_email" in asked else "pending"


def _refundable(world: World, asked: dict[str, Any]) -> Thing:
    if "charge" not in asked and "payment_intent" not in asked:
        raise StripeFault(
            400,
            "One of the following params should be provided for this request: payment_intent or charge.",
        )
    if "payment_intent" in asked:
        intent = world.need("payment_intent", asked["payment_intent"], "payment_intent")
        if (
            intent["status"] != "succeeded"
            or asked.get("charge", intent["latest_charge"]) != intent["latest_charge"]
        ):
            message = (
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            )
            raise StripeFault(400, message, param="payment_intent", began=True)
    charge = world.need(
        "charge", asked["charge"] if "charge" in asked else intent["latest_charge"], "charge"
    )
    if charge["status"] != "succeeded":
        raise StripeFault(
            400,
            f"Charge {charge['id']} is {charge['status']} and cannot be refunded.",
            param="charge",
            began=True,
        )
    if any(
        row["charge"] == charge["id"] and row["status"] in BLOCKING
        for row in world.store.newest_first("dispute")
    ):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise StripeFault(400, message, code="charge_disputed", began=True)
    return charge


def change_refund(world: World, name: str, status: str) -> Thing:
    """The refund enters another state. What fails or is canceled is as if it had not been.

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
        changed = _undone(world, changed)
    changed = _moved(world, changed) if status == "succeeded" else world.store.put(changed)
    _refund_changed(world, changed, before)
    if status == "failed":
        world.happened("refund.failed", changed, before)
    return changed


def _undone(world: World, refund: Thing) -> Thing:
    """The money comes back, and the charge's ``amount_refunded`` sinks."""
    charge = world.need("charge", refund["charge"])
    _set_refunded(world, charge, charge["amount_refunded"] - refund["amount"])
    undone = {**refund, "failure_reason": FAILURE_REASONS[refund["status"]]}
    if refund["status"] == "failed" or refund["balance_transaction"]:
        amount = refund["amount"]
        row = money.balance_row(world.store, refund, amount, "refund_failure")
        undone["failure_balance_transaction"] = world.store.put(row)["id"]
    return undone


def cancel_refund(world: World, name: str) -> Thing:
    """https://docs.stripe.com/api/refunds/cancel: only what waits for the customer."""
    refund = world.need("refund", name)
    if refund["status"] != "requires_action":
        message = (
            f"Refund {name} is {refund['status']}: only one that requires_action can be canceled"
        )
        raise StripeFault(400, message, began=True)
    return change_refund(world, name, "canceled")


def update_refund(world: World, name: str, metadata: dict[str, str]) -> Thing:
    """https://docs.stripe.com/api/refunds/update: metadata only."""
    refund = world.need("refund", name)
    changed = world.change(refund, metadata=merged(refund["metadata"], metadata))
    _refund_changed(world, changed, {"metadata": refund["metadata"]})
    return changed


def _refund_changed(world: World, refund: Thing, before: Thing) -> None:
    world.happened("refund.updated", refund, before)
    world.happened("charge.refund.updated", refund, before)


def _moved(world: World, refund: Thing) -> Thing:
    row = world.store.put(money.balance_row(world.store, refund, -refund["amount"], "refund"))
    return world.change(refund, balance_transaction=row["id"])


def _set_refunded(world: World, charge: Thing, amount: int) -> Thing:
    return world.change(charge, amount_refunded=amount, refunded=amount == charge["amount"])


def merged(before: dict[str, str], given: dict[str, str] | str) -> dict[str, str]:
    """https://docs.stripe.com/api/metadata: an empty value removes its key, an empty string all of them."""
    if isinstance(given, str):
        return {}
    return {name: value for name, value in {**before, **given}.items() if value != ""}


def dispute(
    world: World, charge_id: str, kind: str, amount: int | None, *, withdraw: bool
) -> Thing:
    """The buyer's bank asks (``inquiry``) or takes the money back (``chargeback``).

    All of the charge where no amount is said.
    """
    charge = world.need("charge", charge_id)
    amount = charge["amount"] if amount is None else amount
    if charge["status"] != "succeeded" or not 0 < amount <= charge["amount"]:
        message = f"charge {charge_id} is {charge['status']} over {charge['amount']}: {amount} of it cannot be disputed"
        raise ConflictError(message)
    status = "warning_needs_response" if kind == "inquiry" else "needs_response"
    found = world.store.put(money.dispute(world.store, charge, amount, status))
    world.change(charge, disputed=True)
    world.happened("charge.dispute.created", found)
    return withdraw_funds(world, found["id"], amount) if withdraw and kind != "inquiry" else found


def withdraw_funds(world: World, name: str, amount: int | None = None) -> Thing:
    """Money goes out, all that is not out yet where no amount is said; an inquiry becomes a chargeback by it."""
    found = world.need("dispute", name)
    left = found["amount"] - _out(found)
    amount = left if amount is None else amount
    if found["status"] in CLOSED or not 0 < amount <= left:
        message = f"dispute {name} is {found['status']} and {left} of it can still be withdrawn: not {amount}"
        raise ConflictError(message)
    before = {"balance_transactions": found["balance_transactions"]}
    if found["status"].startswith("warning"):
        before |= {"status": found["status"], "is_charge_refundable": found["is_charge_refundable"]}
        found = {**found, "status": "needs_response", "is_charge_refundable": False}
    return _move(
        world,
        found,
        money.balance_row(world.store, found, -amount, "dispute", money.DISPUTE_FEE_MINOR),
        before,
    )


def reinstate_funds(world: World, name: str, amount: int | None = None) -> Thing:
    """Money comes back, all that is out where no amount is said, whatever the dispute's status says."""
    found = world.need("dispute", name)
    out = _out(found)
    amount = out if amount is None else amount
    if not 0 < amount <= out:
        message = f"of dispute {name} {out} is out: {amount} cannot come back"
        raise ConflictError(message)
    row = money.balance_row(
        world.store, found, amount, "dispute_reversal", -money.DISPUTE_FEE_MINOR
    )
    return _move(world, found, row, {"balance_transactions": found["balance_transactions"]})


def _out(found: Thing) -> int:
    """What the bank holds at the moment."""
    amounts: list[int] = [row["amount"] for row in found["balance_transactions"]]
    return -sum(amounts)


def _move(world: World, found: Thing, row: Thing, before: Thing) -> Thing:
    world.store.put(row)
    changed = world.change(found, balance_transactions=[*found["balance_transactions"], row])
    world.happened(
        "charge.dispute.funds_withdrawn"
        if row["amount"] < 0
        else "charge.dispute.funds_reinstated",
        changed,
    )
    world.happened("charge.dispute.updated", changed, before)
    return changed


def close_dispute(world: World, name: str, status: str) -> Thing:
    """``won`` or ``lost``, and ``warning_closed`` for an inquiry. Moves no money by itself."""
    found = world.need("dispute", name)
    inquiry = found["status"].startswith("warning")
    if found["status"] in CLOSED or inquiry != (status == "warning_closed"):
        message = f"dispute {name} is {found['status']}: it cannot be closed as {status}"
        raise ConflictError(message)
    changed = world.change(found, status=status)
    world.happened("charge.dispute.closed", changed, {"status": found["status"]})
    return changed


def give_in(world: World, name: str) -> Thing:
    """https://docs.stripe.com/api/disputes/close: the seller accepts it; it is lost."""
    found = world.need("dispute", name)
    try:
        return close_dispute(
            world, name, "warning_closed" if found["status"].startswith("warning") else "lost"
        )
    except ConflictError as conflict:
        raise StripeFault(400, "This dispute is already closed", began=True) from conflict


def update_dispute(world: World, name: str, asked: dict[str, Any]) -> Thing:
    """https://docs.stripe.com/api/disputes/update: evidence is submitted unless ``submit`` is false."""
    found = world.need("dispute", name)
    if found["status"] in CLOSED:
        raise StripeFault(400, "This dispute is already closed", began=True)
    changes: Thing = {"metadata": merged(found["metadata"], asked.get("metadata", {}))}
    if evidence := asked.get("evidence"):
        changes |= {
            "evidence": {**found["evidence"], **evidence},
            "evidence_details": {**found["evidence_details"], "has_evidence": True},
        }
        if asked.get("submit", True):
            changes["evidence_details"]["submission_count"] += 1
            changes["evidence_details"]["submission_method"] = "manual"
            changes["status"] = (
                "warning_under_review" if found["status"].startswith("warning") else "under_review"
            )
    changed = world.change(found, **changes)
    world.happened(
        "charge.dispute.updated",
        changed,
        {key: found[key] for key in changes if found[key] != changes[key]},
    )
    return changed
