"""POST /api/v1/payments/checkout: a payment is recorded, and Stripe makes a session to pay it at."""

from billing.api.endpoint import Answer, endpoint, site_url
from billing.api.request import Request
from billing.payments import checkout, plans
from billing.payments.checkout import Shop
from billing.wiring.container import books, settings
from billing.wiring.stripe import gateway


@endpoint
def handler(request: Request) -> Answer:
    """For the user of the token, whatever else the caller says."""
    user_id, key = request.user_id, request.idempotency_key()
    plan = plans.find(request.json_object("plan")["plan"])
    return 201, checkout.create(
        books(), gateway(), _shop(site_url(request)), user_id, plan, key=key
    )


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
