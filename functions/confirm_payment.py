"""POST /api/v1/payments/{id}/confirm and GET .../receipt: what Stripe knows of a user's own payment, asked for at once."""

from billing.api.endpoint import Answer, endpoint
from billing.api.request import Request
from billing.errors import BillingError, StripeRefusedError
from billing.payments import confirmation
from billing.payments.payment import Payment
from billing.stripe_api.client import StripeNotFoundError, StripeServerError
from billing.telemetry import report_refusal
from billing.wiring.queue import receiving_books
from billing.wiring.stripe import gateway


@endpoint
def handler(request: Request) -> Answer:
    """The payment as it is now, paid or not yet; or where its receipt is."""
    name = request.path.get("id", "")
    try:
        if request.method == "GET":
            return 200, {
                "receipt_url": confirmation.receipt_url(
                    receiving_books(), gateway(), request.user_id, name
                )
            }
        payment = confirmation.confirm(receiving_books(), gateway(), request.user_id, name, _report)
    except StripeServerError as error:
        raise BillingError(
            "stripe_unavailable",
            "Stripe has trouble at the moment; your payment is safe, try again.",
        ) from error
    return 200, payment.as_answer()


def _report(error: StripeNotFoundError, payment: Payment) -> None:
    """Stripe does not know a session of ours, so the key must be another account's.

    The buyer is told what we know.
    """
    refused = StripeRefusedError(error.refusal)
    report_refusal(refused, payment_id=payment.payment_id, session_id=payment.session_id)
