"""POST /api/v1/payments/checkout: records a payment, and creates a Checkout Session for it."""

from billing.api.endpoint import Answer, endpoint, site_url
from billing.api.members import flag
from billing.api.request import Request
from billing.buying import checkout
from billing.buying.session_params import Shop
from billing.buying.sessions import Customer
from billing.errors import BillingError
from billing.payments import plans
from billing.wiring.container import books, settings
from billing.wiring.stripe import gateway, saved_cards


@endpoint
def handler(request: Request) -> Answer:
    """Create a Checkout Session for a plan, and answer 201 with its URL.

    The buyer is the user of the access token. With ``remember_card`` in the
    body, the card is saved too.
    """
    user_id, key = request.user_id, request.idempotency_key()
    body = request.json_object("plan", optional=("remember_card",))
    customer = _customer(user_id) if flag(body, "remember_card") else None
    plan = plans.find(body["plan"])
    shop = _shop(site_url(request))
    made = checkout.create(
        books(), gateway(), shop, user_id, plan, key=key, customer=customer
    )
    return 201, made


def _customer(user_id: str) -> Customer:
    """Return the function that finds the user's customer at Stripe.

    Its module is imported only for checkouts that save a card. Raises
    ``invalid_request`` if this deployment offers no automatic top-ups.
    """
    if not settings().auto_top_up:
        detail = (
            "remember_card is for automatic top-ups, which are not offered here"
        )
        raise BillingError("invalid_request", detail)
    from billing.agreements import customers  # noqa: PLC0415 - see above

    return lambda instead_of: customers.find_or_create(
        books(), saved_cards(), user_id, instead_of=instead_of
    )


def _shop(site_url: str) -> Shop:
    """Return the settings with which Checkout Sessions are created.

    ``site_url`` is the page to which Stripe sends the buyer back.
    """
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
