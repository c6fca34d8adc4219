"""Parses disputes from Stripe's events and API into facts.

A fact has what the product needs of the dispute (billing/facts.py).
"""

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
    """Parse a dispute from an event or from Stripe's API into a fact.

    ``origin`` has the fact's id, type and time. ``formal`` is true for the
    event ``charge.dispute.created`` and for an answer of the API. Only then
    may the fact have ``opened``: the dispute is more than an inquiry, and may
    soon hold money. Returns Ignored if the dispute names no payment or cannot
    be read.
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
    """Parse the dispute in an event into a DisputeFact.

    Returns Ignored if it names no payment or cannot be read. ``origin`` has
    the event's id, type and time.
    """
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
