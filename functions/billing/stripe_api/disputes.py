"""Reads disputes into facts."""

from collections.abc import Mapping
from typing import Any, Final

from billing.facts import DisputeFact, Fact
from billing.settings import Ours
from billing.stripe_api.claims import UNREADABLE, Ignored
from billing.stripe_api.reading import (
    UnreadableError,
    member,
    signed,
    text,
    whole,
)
from billing.stripe_api.refunds import leading_ids

DISPUTE_EVENTS: Final = (
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
)
CLOSED: Final = ("won", "lost", "warning_closed", "prevented")


def dispute_fact(
    dispute: Mapping[str, Any], origin: Mapping[str, Any], *, formal: bool
) -> DisputeFact | Ignored:
    """Return the fact in a dispute object, from an event or from the API.

    ``formal`` is true for the event that creates the dispute and for the API's answer. Only these
    may open the dispute in our books.
    """
    try:
        found_by = leading_ids(dispute)
        if not any(found_by.values()):
            return Ignored("not_ours")
        status = text(dispute, "status")
        amount = whole(dispute, "amount")
        currency = text(dispute, "currency")
        rows = _transactions(dispute)
        return DisputeFact(
            currency=currency,
            dispute_id=text(dispute, "id"),
            amount=amount,
            opened=formal
            and status != "prevented"
            and not status.startswith("warning_"),
            closed=status if status in CLOSED else "",
            transactions={
                text(row, "id"): signed(row, "amount") for row in rows
            },
            converted=any(text(row, "currency") != currency for row in rows),
            **found_by,
            **origin,
        )
    except UnreadableError:
        return Ignored(UNREADABLE)


def dispute_event(
    dispute: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    """Return the fact in a dispute's event, or Ignored."""
    del ours
    return dispute_fact(
        dispute, origin, formal=origin["type"] == "charge.dispute.created"
    )


def _transactions(dispute: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if dispute.get("balance_transactions") is None:
        return []
    rows = member(dispute, "balance_transactions", list)
    if not all(isinstance(row, dict) for row in rows):
        raise UnreadableError
    return rows
