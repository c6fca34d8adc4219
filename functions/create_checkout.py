"""POST /api/v1/payments/checkout: records a payment, and creates a Checkout Session for it."""

from billing.api.endpoint import Answer, endpoint, site_url
from billing.api.request import Request
from billing.payments import checkout, plans
from billing.payments.checkout import Shop
from billing.wiring.container import books, settings
from billing.wiring.stripe import gateway


@endpoint
def handler(request: Request) -> Answer:
    """Create a checkout of a plan for the token's user."""
    user_id, key = request.user_id, request.idempotency_key()
    plan = plans.find(request.json_object("plan")["plan"])
    shop = _shop(site_url(request))
    return 201, checkout.create(books(), gateway(), shop, user_id, plan, key=key)


def _shop(site_url: str) -> Shop:
    """Return the stack's settings for checkouts."""
    stack = settings()
    deployment = books().ours.deployment.id()
    return Shop(
        site_url,
        stack.stack_name,
        deployment,
        stack.allow_promotion_codes,
        stack.automatic_tax,
        stack.invoice_creation,
        stack.tax_behavior,
    )
