"""POST /api/v1/payments/{id}/confirm and GET .../receipt: what Stripe knows of a user's own payment, asked for at once."""

from billing import confirmation
from billing.api import Request
from billing.errors import BillingError
from billing.gateway import AnsweredWithFaultError
from billing.receiving import receiving_books
from billing.runtime import Answer, endpoint
from billing.stripe_doors import gateway


@endpoint
def handler(request: Request) -> Answer:
    """The payment as it is now, paid or not yet; or where its receipt is."""
    name = request.path.get("id", "")
    try:
        if request.method == "GET":
            return 200, {"receipt_url": confirmation.receipt_url(receiving_books(), gateway(), request.user_id, name)}
        payment = confirmation.confirm(receiving_books(), gateway(), request.user_id, name)
    except AnsweredWithFaultError as error:
        raise BillingError("stripe_unavailable", "Stripe has trouble at the moment; your payment is safe, try again.") from error
    return 200, payment.as_answer()
