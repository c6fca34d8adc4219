"""GET /api/v1/plans: answers with the plans for sale and the welcome units.

A new customer gets the welcome units once, without payment.
"""

from billing.api.endpoint import Answer, static_endpoint
from billing.api.request import Request
from billing.payments import plans


@static_endpoint
def handler(request: Request) -> Answer:
    """Answer with the plans for sale and the welcome units.

    It needs no token, and is the same for all callers.
    """
    del request
    found = plans.whole_catalogue()
    welcome = found.welcome.as_answer() if found.welcome else None
    shown = [plan.as_answer() for plan in found.plans.values()]
    return 200, {"plans": shown, "welcome": welcome}
