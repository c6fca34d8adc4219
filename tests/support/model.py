"""What is owed, read from Stripe's own objects: an independent reading of the contract's table.

Stripe's world is the newest state of each of its objects: sessions, refunds, and disputes with
their balance transactions. Nothing here adds up events, and nothing here is the product's formula.
"""

from collections.abc import Iterable
from typing import Any

STANDING = ("pending", "requires_action", "succeeded")
"""Other refunds are as if they had not been.

https://docs.stripe.com/api/refunds/object#refund_object-status
"""
OVER = ("won", "lost", "warning_closed", "prevented")
"""https://docs.stripe.com/api/disputes/object#dispute_object-status"""
Thing = dict[str, Any]


def purchase(events: Iterable[Thing], units: int, paid: int) -> tuple[str, int, int]:
    """Return a payment's status, the units credited, and the units clawed back.

    ``events`` are all of Stripe's events about one purchase, in the order in which Stripe made
    them: the last one about an object shows that object as it is now.
    """
    made = list(events)
    sessions = [event for event in made if event["type"].startswith("checkout.session.")]
    if not any(_is_paid(event["data"]["object"]) for event in sessions):
        return _unpaid(made), 0, 0
    refunds, disputes = _newest(made, "refund"), _newest(made, "dispute")
    refunded = sum(refund["amount"] for refund in refunds if refund["status"] in STANDING)
    out = sum(_out(dispute) for dispute in disputes)
    lost = sum(_lost(dispute) for dispute in disputes)
    taken = units * min(paid, refunded + out) // paid
    if any(_is_open(dispute) for dispute in disputes):
        return "disputed", units, taken
    if refunded + lost >= paid:
        return "refunded", units, taken
    return ("partially_refunded" if refunded + lost else "completed"), units, taken


def written_off(units: int, taken: int, used: int) -> int:
    """Under ``write_off``, of one purchase: what was used before it was taken back; not what a hold
    promised, or what is used later.
    """
    return max(0, taken + used - units)


def _newest(made: list[Thing], kind: str) -> list[Thing]:
    subjects = (event["data"]["object"] for event in made)
    return list({row["id"]: row for row in subjects if row["object"] == kind}.values())


def _is_paid(session: Thing) -> bool:
    return session["payment_status"] in ("paid", "no_payment_required")


def _out(dispute: Thing) -> int:
    """The money that the bank has: a withdrawal is negative."""
    amounts: list[int] = [row["amount"] for row in dispute["balance_transactions"]]
    return -sum(amounts)


def _lost(dispute: Thing) -> int:
    """By the disputed amount, unless all the money came back."""
    if dispute["status"] != "lost":
        return 0
    returned = dispute["balance_transactions"] and not _out(dispute)
    return 0 if returned else int(dispute["amount"])


def _is_open(dispute: Thing) -> bool:
    status = dispute["status"]
    came_back = any(row["amount"] > 0 for row in dispute["balance_transactions"])
    if status == "lost" or (status in OVER and came_back):
        return False
    if dispute["balance_transactions"]:
        return _out(dispute) > 0
    return status not in OVER and not status.startswith("warning_")


def _unpaid(made: list[Thing]) -> str:
    kinds = {event["type"] for event in made}
    if "checkout.session.async_payment_failed" in kinds:
        return "failed"
    if "checkout.session.completed" in kinds:
        return "processing"
    if "checkout.session.expired" in kinds:
        return "expired"
    return "failed" if "payment_intent.payment_failed" in kinds else "pending"
