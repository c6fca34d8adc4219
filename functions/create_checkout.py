"""POST /api/v1/payments/checkout: a payment is recorded, and Stripe makes a session to pay it at."""

from billing import checkout, plans
from billing.api import Request
from billing.runtime import Answer, books, endpoint, site_url
from billing.stripe_doors import gateway, shop


@endpoint
def handler(request: Request) -> Answer:
    """For the user of the token, whatever else the caller says."""
    user_id, key = request.user_id, request.idempotency_key()
    plan = plans.find(request.json_object("plan")["plan"])
    return 201, checkout.create(books(), gateway(), shop(site_url(request)), user_id, plan, key=key)
