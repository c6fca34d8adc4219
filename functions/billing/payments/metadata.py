"""Builds the metadata on our objects at Stripe, which Stripe's events carry back to us."""

from billing.payments.payment import Payment


def metadata(payment: Payment, stack: str, deployment: str) -> dict[str, str]:
    """Return the metadata of a payment's session and intent. billing.stripe_api.claims reads it.

    ``stack`` is for the seller's eyes: names are not unique.
    """
    return {
        "payment_id": payment.payment_id,
        "user_id": payment.user_id,
        "plan": payment.plan,
        "quota": str(payment.quota),
        "stack": stack,
        "deployment": deployment,
    }
