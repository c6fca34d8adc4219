"""POST /api/v1/payments/{id}/confirm and GET .../receipt: asks Stripe about one payment."""

from billing.api.endpoint import Answer, endpoint
from billing.api.request import Request
from billing.buying import confirmation
from billing.errors import BillingError, StripeRefusedError
from billing.payments.payment import Payment
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from billing.telemetry import report_refusal
from billing.wiring.queue import receiving_books
from billing.wiring.stripe import gateway


@endpoint
def handler(request: Request) -> Answer:
    """Return the HTTP response with the payment now, or its receipt's URL.

    POST asks Stripe for the payment's state and stores it. If it is paid, its
    units are credited. GET returns the URL.
    """
    name = request.path.get("id", "")
    try:
        if request.method == "GET":
            url = confirmation.receipt_url(
                receiving_books(), gateway(), request.user_id, name
            )
            return 200, {"receipt_url": url}
        payment = confirmation.confirm(
            receiving_books(), gateway(), request.user_id, name, _report
        )
    except StripeServerError as error:
        detail = (
            "Stripe has trouble at the moment; your payment is safe, try again."
        )
        raise BillingError("stripe_unavailable", detail) from error
    return 200, payment.as_answer()


def _report(error: StripeNotFoundError, payment: Payment) -> None:
    """Report that Stripe does not know a session of ours.

    Our secret key then belongs to another Stripe account. The buyer still
    gets the payment as we have it.
    """
    refused = StripeRefusedError(error.refusal)
    report_refusal(
        refused, payment_id=payment.payment_id, session_id=payment.session_id
    )
