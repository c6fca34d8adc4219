"""What the books must say after a set of events, in no order, each once: an independent reading of the contract's table."""

from collections.abc import Iterable
from typing import Any


def purchase(events: Iterable[dict[str, Any]], units: int, paid: int, listed: int | None = None) -> tuple[str, int, int]:
    """Status of the payment, units credited, units clawed back, from the set of Stripe's events about one purchase.

    ``listed``: what Stripe's API says is refunded, once reconciliation has asked; an event's figure may hold what failed since.
    """
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        by_kind.setdefault(event["type"], []).append(event["data"]["object"])
    sessions = by_kind.get("checkout.session.completed", []) + by_kind.get("checkout.session.async_payment_succeeded", [])
    if not any(session["payment_status"] in ("paid", "no_payment_required") for session in sessions):
        return _unpaid(by_kind, bool(sessions)), 0, 0
    high = max((charge["amount_refunded"] for charge in by_kind.get("charge.refunded", [])), default=0)
    gone = {
        r["id"]: r["amount"]
        for kind in ("refund.failed", "refund.updated")
        for r in by_kind.get(kind, [])
        if r["status"] in ("failed", "canceled")
    }
    refunded = max(0, high - sum(gone.values())) if listed is None else listed
    disputes = [event for kind, rows in by_kind.items() if kind.startswith("charge.dispute.") for event in ((kind, row) for row in rows)]
    out = lost = 0
    is_open = False
    for name in {row["id"] for _, row in disputes}:
        rows = [(kind, row) for kind, row in disputes if row["id"] == name]
        money = {txn["id"]: txn["amount"] for _, row in rows for txn in row["balance_transactions"]}
        mine = max(0, -sum(money.values()))
        closed = {row["status"] for _, row in rows} & {"won", "lost", "warning_closed"}
        is_lost = "lost" in closed and "won" not in closed
        formal = any(kind.endswith("created") and not row["status"].startswith("warning_") for kind, row in rows)
        out += mine
        lost += (mine if money else max(row["amount"] for _, row in rows)) if is_lost else 0
        is_open = is_open or (not is_lost and (mine > 0 or (formal and not closed and not money)))
    back = refunded + lost
    status = "disputed" if is_open else "refunded" if back >= paid else "partially_refunded" if back else "completed"
    return status, units, units * min(paid, refunded + out) // paid


def written_off(units: int, taken: int, used: int) -> int:
    """Under ``write_off``, of one purchase: what was used before it was taken back; not what a hold promised, or what is used later."""
    return max(0, taken + used - units)


def _unpaid(by_kind: dict[str, list[dict[str, Any]]], completed: bool) -> str:  # noqa: FBT001 - a fact, not a switch
    if "checkout.session.async_payment_failed" in by_kind:
        return "failed"
    if completed:
        return "processing"
    if "checkout.session.expired" in by_kind:
        return "expired"
    return "failed" if "payment_intent.payment_failed" in by_kind else "pending"
