"""GET /api/v1/plans: what is for sale, and what a new customer gets free."""

from billing.api.endpoint import Answer, static_endpoint
from billing.api.request import Request
from billing.payments import plans


@static_endpoint
def handler(request: Request) -> Answer:
    """Public; the same for everybody."""
    del request
    found = plans.whole_catalogue()
    welcome = found.welcome.as_answer() if found.welcome else None
    shown = [plan.as_answer() for plan in found.plans.values()]
    return 200, {"plans": shown, "welcome": welcome}
