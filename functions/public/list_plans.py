"""GET /api/v1/plans: answers with the plans for sale."""

from billing.api.endpoint import Answer, static_endpoint
from billing.api.request import Request
from billing.payments import plans


@static_endpoint
def handler(request: Request) -> Answer:
    """Answer with the plans. It needs no token, and is the same for all callers."""
    del request
    return 200, {"plans": [plan.as_answer() for plan in plans.catalogue().values()]}
