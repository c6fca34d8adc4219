"""POST /api/v1/payments/{id}/confirm: back from Stripe, the buyer's page asks for the truth at once."""

from billing import confirmation
from billing.api import Request
from billing.errors import BillingError
from billing.gateway import AnsweredWithFaultError
from billing.runtime import Answer, endpoint, receiving_books
from billing.stripe_doors import gateway


@endpoint
def handler(request: Request) -> Answer:
    """The payment as it is now, paid or not yet."""
    try:
        payment = confirmation.confirm(receiving_books(), gateway(), request.user_id, request.path.get("id", ""))
    except AnsweredWithFaultError as error:
        raise BillingError("stripe_unavailable", "Stripe has trouble at the moment; your payment is safe, try again.") from error
    return 200, payment.as_answer()
