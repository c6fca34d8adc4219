"""Parses refunds, and charges that have refunds, into RefundsFacts.

A RefundsFact has the known refunds of one charge.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from billing.facts import Fact, RefundsFact
from billing.settings import Ours
from billing.stripe_api.claims import OTHER_DEPLOYMENT, Ignored, claims_in
from billing.stripe_api.reading import reference, text, whole

REFUND_EVENTS: Final = (
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refund.updated",
)
"""https://docs.stripe.com/changelog/acacia/2024-10-28/refund-webhook-update"""
STANDING: Final = ("pending", "requires_action", "succeeded")
GONE: Final = ("failed", "canceled")
"""The states of a refund. STANDING: the money goes to the customer, or has
gone. GONE: the refund failed or was canceled, and the money is the seller's
again.

https://docs.stripe.com/api/refunds/object#refund_object-status
"""


def charge_refunded(
    charge: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    """Parse a charge that has refunds into a RefundsFact (its refunds).

    Returns Ignored if it is another deployment's or has no payment intent. A
    charge has its payment intent's metadata, but a seller can edit it. So a
    charge without our metadata still counts as ours if we have a record of its
    payment. ``origin`` has the event's id, type and time.
    https://support.stripe.com/questions/how-metadata-works-with-related-objects
    """
    claims = claims_in(charge, ours)
    if isinstance(claims, Ignored) and claims.reason == OTHER_DEPLOYMENT:
        return claims
    intent = reference(charge, "payment_intent")
    if intent is None or not intent.startswith("pi_"):
        # Checkout in payment mode always has a payment intent
        return Ignored("not_ours")
    standing, failed = refunds_by_id(_listed_refunds(charge))
    return RefundsFact(
        payment_intent=intent,
        charge=text(charge, "id"),
        currency=text(charge, "currency"),
        refunded_minor=whole(charge, "amount_refunded"),
        standing=standing,
        failed=failed,
        **_proof(claims),
        **origin,
    )


def _listed_refunds(charge: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the refunds that the charge itself lists.

    The result is [] for an API version since 2022-11-15, which lists none.
    https://docs.stripe.com/changelog/2022-11-15/deprecates-charges-auto-expand
    """
    listed = charge.get("refunds")
    rows = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(rows, list):
        return []
    return [row for row in rows if isinstance(row, dict)]


def refund_event(
    refund: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    """Parse the refund in an event into a RefundsFact with only this one.

    Returns Ignored if its status is unknown, or if it names neither a payment
    intent nor a charge. ``origin`` has the event's id, type and time.
    """
    del ours
    standing, failed = refunds_by_id([refund])
    if not standing and not failed:
        return Ignored("not_of_interest")
    found_by = leading_ids(refund)
    if not any(found_by.values()):
        return Ignored("not_ours")
    return RefundsFact(
        currency=text(refund, "currency"),
        standing=standing,
        failed=failed,
        **found_by,
        **origin,
    )


def refunds_by_id(
    refunds: Iterable[Mapping[str, Any]],
) -> tuple[dict[str, int], dict[str, int]]:
    """Return two dicts of refunded amounts by refund id.

    The first has the refunds that stand, the second those that failed or
    were canceled. A refund with an unknown status is in neither; its
    charge's ``amount_refunded`` still includes it.
    """
    standing, failed = {}, {}
    for refund in refunds:
        status = refund.get("status")
        if status in STANDING:
            standing[text(refund, "id")] = whole(refund, "amount")
        elif status in GONE:
            failed[text(refund, "id")] = whole(refund, "amount")
    return standing, failed


def _proof(claims: Mapping[str, Any] | Ignored) -> dict[str, Any]:
    """Return the fields of a RefundsFact that say whose the charge is.

    ``claims`` is our metadata on the charge, or Ignored without it. From the
    metadata, the fields are payment_id, user_id and ``needs_record``. Without
    it, they are ``{"needs_record": True}``: the charge is ours only if we have
    a record of its payment.
    """
    if isinstance(claims, Ignored):
        return {"needs_record": True}
    return {
        name: claims[name] for name in ("payment_id", "user_id", "needs_record")
    }


def leading_ids(reversal: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ids that lead from a refund or dispute to its payment.

    The dict has ``payment_intent`` and ``charge``. Stripe may leave each
    one empty (None). If both are None, we can never find the payment.
    https://docs.stripe.com/api/refunds/object#refund_object-charge
    """
    return {
        name: reference(reversal, name) for name in ("payment_intent", "charge")
    }
