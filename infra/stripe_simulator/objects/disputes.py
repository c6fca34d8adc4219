"""Creates and changes disputes, with their events in Stripe's order.

https://docs.stripe.com/disputes
"""

from typing import Any, Final

from infra.stripe_simulator.errors import ConflictError, StripeFault
from infra.stripe_simulator.objects import money
from infra.stripe_simulator.objects.world import World, merge_metadata
from infra.stripe_simulator.store import Thing

CLOSED: Final = ("won", "lost", "warning_closed")


def dispute(
    world: World, charge_id: str, kind: str, amount: int | None, *, withdraw: bool
) -> Thing:
    """Create a dispute and return it. ``amount`` None disputes the whole charge.

    With an ``inquiry`` the buyer's bank asks a question. With a ``chargeback`` it takes the money
    back, at once if ``withdraw``.
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
    """Take ``amount`` of the disputed money from the seller, and return the dispute.

    Without ``amount``, takes all that is not with the buyer's bank yet. An inquiry becomes a
    chargeback. Raises ConflictError if the dispute is closed, or if less than ``amount`` is left.
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
    """Give the seller ``amount`` back, or all that was taken, and return the dispute.

    The dispute may be in any status.
    """
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
    """Return how much of a dispute was taken from the seller and not given back."""
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
    """Close a dispute as ``won`` or ``lost``, or an inquiry as ``warning_closed``, and return it.

    Moves no money. Raises ConflictError if it is closed already, or if the status does not fit.
    """
    found = world.need("dispute", name)
    inquiry = found["status"].startswith("warning")
    if found["status"] in CLOSED or inquiry != (status == "warning_closed"):
        message = f"dispute {name} is {found['status']}: it cannot be closed as {status}"
        raise ConflictError(message)
    changed = world.change(found, status=status)
    world.happened("charge.dispute.closed", changed, {"status": found["status"]})
    return changed


def give_in(world: World, name: str) -> Thing:
    """Close the dispute as lost, because the seller accepts it, and return it.

    An inquiry is closed as ``warning_closed``. https://docs.stripe.com/api/disputes/close
    """
    found = world.need("dispute", name)
    status = "warning_closed" if found["status"].startswith("warning") else "lost"
    try:
        return close_dispute(world, name, status)
    except ConflictError as conflict:
        raise StripeFault(400, "This dispute is already closed", began=True) from conflict


def update_dispute(world: World, name: str, asked: dict[str, Any]) -> Thing:
    """Change the metadata and evidence of a dispute, and return it.

    The evidence is submitted unless ``submit`` is false.
    https://docs.stripe.com/api/disputes/update
    """
    found = world.need("dispute", name)
    if found["status"] in CLOSED:
        raise StripeFault(400, "This dispute is already closed", began=True)
    changes: Thing = {"metadata": merge_metadata(found["metadata"], asked.get("metadata", {}))}
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
