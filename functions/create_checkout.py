"""POST /api/v1/payments/checkout: a payment is recorded, and Stripe makes a session to pay it at."""

from billing import checkout, plans
from billing.api import Request
from billing.checkout import Shop
from billing.runtime import Answer, books, endpoint, settings, site_url
from billing.stripe_doors import gateway


@endpoint
def handler(request: Request) -> Answer:
    """For the user of the token, whatever else the caller says."""
    user_id, key = request.user_id, request.idempotency_key()
    plan = plans.find(request.json_object("plan")["plan"])
    return 201, checkout.create(books(), gateway(), _shop(site_url(request)), user_id, plan, key=key)


def _shop(site_url: str) -> Shop:
    """What the template says about checkouts."""
    say = settings()
    deployment = books().ours.deployment.id()
    return Shop(
        site_url,
        say.stack_name,
        deployment,
        say.allow_promotion_codes,
        say.automatic_tax,
        say.invoice_creation,
        say.tax_behavior,
    )
