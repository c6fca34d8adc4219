"""GET /api/v1/plans: what is for sale."""

from billing.api.endpoint import Answer, static_endpoint
from billing.api.request import Request
from billing.payments import plans


@static_endpoint
def handler(request: Request) -> Answer:
    """Public; the same for everybody."""
    del request
    return 200, {"plans": [plan.as_answer() for plan in plans.catalogue().values()]}
